"""Calibration curves: predicted against observed conversion rate."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from scipy.stats import norm

from common.arrays import Floats, Indices


class Bin(TypedDict):
    """Examples of neighbouring predictions; `low` and `high` bound the observed rate."""

    examples: int
    positives: int
    predicted: float
    observed: float
    low: float
    high: float


def calibration_curve(label: Floats, prediction: Floats, bins: int, confidence: float) -> list[Bin]:
    """Equal-mass bins by predicted probability, lowest first.

    Args:
      label: float64 [n], 0 or 1.
      prediction: float64 [n]; examples whose prediction is NaN are left out.
      bins: how many; fewer when there are fewer examples.
      confidence: two-sided level of the Wilson score interval of the observed rate.
    """
    curve: list[Bin] = []
    for rows in equal_mass(prediction, bins):
        positives = round(float(label[rows].sum()))
        low, high = wilson_interval(positives, len(rows), confidence)
        curve.append(
            Bin(
                examples=len(rows),
                positives=positives,
                predicted=float(prediction[rows].mean()),
                observed=positives / len(rows),
                low=low,
                high=high,
            )
        )
    return curve


def equal_mass(prediction: Floats, bins: int) -> list[Indices]:
    """Row numbers of bins of neighbouring predictions, lowest first, of equal size or one less.

    Args:
      prediction: float64 [n]; rows whose prediction is NaN are in no bin.
      bins: how many; fewer when there are fewer rows.
    """
    known = np.flatnonzero(np.isfinite(prediction))
    if len(known) == 0:
        return []
    order = known[np.argsort(prediction[known], kind="stable")]
    return np.array_split(order, min(bins, len(order)))


def wilson_interval(positives: int, examples: int, confidence: float) -> tuple[float, float]:
    """Wilson's score interval of a binomial share, without continuity correction.

    (p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n), z the normal quantile of
    (1 + confidence) / 2.
    """
    z = float(norm.ppf((1.0 + confidence) / 2.0))
    share = positives / examples
    centre = share + z * z / (2 * examples)
    spread = z * float(
        np.sqrt(share * (1.0 - share) / examples + z * z / (4 * examples * examples))
    )
    scale = 1.0 + z * z / examples
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)
