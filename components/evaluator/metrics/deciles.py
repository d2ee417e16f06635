"""Calibration by decile of prediction, with intervals that know how few conversions there are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2

from common.arrays import Floats
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
    setup: npt.NDArray[np.int64],
    bins: int,
    confidence: float,
) -> list[Decile]:
    """Equal-mass bins by prediction, lowest first; empty where there are no examples.

    The interval is Garwood's for a Poisson count (Biometrika 28, 1936): k conversions have an
    expectation between chi2(t; 2k) / 2 and chi2(1 - t; 2k + 2) / 2. Conversions of one setup come
    together, so that k and the prediction are first divided by the factor by which their variance
    over setups exceeds a Poisson's,

        phi = max(1, sum_u (y_u - r p_u)^2 / sum_u y_u),    r = sum_u y_u / sum_u p_u,

    y_u and p_u being the conversions of setup u in the bin and the sum of its predictions. t is
    (1 - confidence) / 2 / bins: all intervals hold together with that confidence.

    Args:
      label: float64 [n], 0 or 1.
      prediction: float64 [n]; examples whose prediction is NaN are left out.
      setup: int64 [n], the setup's number.
      bins: how many; fewer when there are fewer examples.
      confidence: two-sided, of all bins together.
    """
    tail = (1.0 - confidence) / 2.0 / bins
    found = []
    groups = equal_mass(prediction, bins)
    for number, rows in enumerate(groups, 1):
        y, p = label[rows], prediction[rows]
        conversions, predicted = round(float(y.sum())), float(p.sum())
        phi = _clustering(y, p, setup[rows])
        count, expected = conversions / phi, predicted / phi
        most = float(chi2.ppf(1.0 - tail, 2.0 * count + 2.0)) / 2.0
        least = float(chi2.ppf(tail, 2.0 * count)) / 2.0 if conversions else 0.0
        high = expected / least if least > 0.0 else float("inf")
        found.append(
            Decile(number, len(groups), len(rows), predicted, conversions, expected / most, high)
        )
    return found


def _clustering(label: Floats, prediction: Floats, setup: npt.NDArray[np.int64]) -> float:
    """phi of `deciles`; 1 without conversions."""
    _, number = np.unique(setup, return_inverse=True)
    y, p = np.bincount(number, label), np.bincount(number, prediction)
    if not y.sum() > 0.0 or not p.sum() > 0.0:
        return 1.0
    ratio = y.sum() / p.sum()
    return max(1.0, float(((y - ratio * p) ** 2).sum() / y.sum()))
