"""Calibration by decile of prediction, with intervals that know how few conversions there are."""

from __future__ import annotations

from dataclasses import dataclass

from common.arrays import Floats, Ints
from common.statistics.poisson import level_interval
from components.evaluator.metrics.calibration_curve import equal_mass


@dataclass(frozen=True)
class Decile:
    """Examples of neighbouring predictions.

    Attributes:
      number, of: place in ascending order of prediction, from 1.
      predicted: sum of the predictions: the conversions that were expected.
      conversions: the conversions that came.
      low, high: interval of predicted over expected conversions, had the same examples been drawn
        again and again; `high` is infinite where no conversion came.
    """

    number: int
    of: int
    examples: int
    predicted: float
    conversions: int
    low: float
    high: float

    @property
    def ratio(self) -> float:
        """Mean prediction over mean label; infinite without conversions."""
        return self.predicted / self.conversions if self.conversions else float("inf")


def deciles(
    label: Floats,
    prediction: Floats,
    setup: Ints,
    bins: int,
    confidence: float,
) -> list[Decile]:
    """Equal-mass bins by prediction, lowest first; empty where there are no examples.

    Intervals are those of `common.statistics.poisson.level_interval` with tails of (1 - confidence)
    / 2 / bins: all hold together with that confidence.

    Args:
      label: float64 [n], 0 or 1.
      prediction: float64 [n]; examples whose prediction is NaN are left out.
      setup: int64 [n], the setup's number.
      bins: how many; fewer when there are fewer examples.
      confidence: two-sided, of all bins together.
    """
    tail = (1.0 - confidence) / 2.0 / bins
    made = []
    groups = equal_mass(prediction, bins)
    for number, rows in enumerate(groups, 1):
        y, p = label[rows], prediction[rows]
        conversions, predicted = round(float(y.sum())), float(p.sum())
        low, high = level_interval(y, p, setup[rows], tail)
        made.append(Decile(number, len(groups), len(rows), predicted, conversions, low, high))
    return made
