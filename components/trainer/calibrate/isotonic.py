"""Isotonic calibration: a free monotone function, made continuous and strictly increasing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import tensorflow as tf
from scipy.optimize import isotonic_regression
from scipy.special import expit, logit

from common.arrays import Floats
from components.trainer.calibrate.platt import HIGHEST_MEAN, mean_shift

RANGE = (-700.0, 36.0)
"""Logits beyond are taken as these: the float64 probabilities of others are 0 or 1."""


@dataclass(frozen=True)
class Isotonic:
    """Through knots, in straight lines on the log-odds; beyond the outermost ones a constant is
    added to the log-odds.

    Attributes:
      predicted, observed: the knots' log-odds before and after, both strictly ascending.
    """

    method: ClassVar[str] = "isotonic"
    predicted: tuple[float, ...]
    observed: tuple[float, ...]

    def probability(self, z: Floats) -> Floats:
        """Calibrated probabilities of logits [n]."""
        return expit(self.log_odds(z))

    def log_odds(self, z: Floats) -> Floats:
        """Calibrated logits of logits [n]."""
        x, y = self.predicted, self.observed
        return np.interp(z, x, y) + z - np.clip(z, x[0], x[-1])

    def graph(self, z: tf.Tensor) -> tf.Tensor:
        """The same in TensorFlow, float64 [n]."""
        knots = self.predicted, self.observed
        # One more knot at each end makes lines of slope 1 of what lies beyond.
        x, y = (tf.constant([k[0] - 1, *k, k[-1] + 1], tf.float64) for k in knots)
        slope = (y[1:] - y[:-1]) / (x[1:] - x[:-1])
        highest = tf.concat([y[1:-1], tf.constant([np.inf], tf.float64)], axis=0)
        piece = tf.searchsorted(x[1:-1], z, side="right")
        line = tf.gather(y, piece) + tf.gather(slope, piece) * (z - tf.gather(x, piece))
        # Rounding must not carry the end of a piece over the start of the next.
        return tf.sigmoid(tf.minimum(line, tf.gather(highest, piece)))


def fit_isotonic(
    z: Floats,
    label: Floats,
    weight: Floats,
    min_conversions: int = 1,
    completeness: Floats | None = None,
) -> Isotonic:
    """Pools adjacent violators, and puts a knot at the mean of each pool.

    The least-squares monotone fit of the labels is a step function, which forgets the order within
    a step. Here a knot moves the mean prediction of each step to its mean label, and lines between
    the knots keep the order of all predictions. Steps of fewer than `min_conversions` conversions,
    or as few others, are first joined to the next, so that no knot is at 0 or 1 or rests on a
    handful of conversions; a constant is then added to all knots' log-odds, so that the
    predictions sum to the conversions. A calibrated network is left as it is.

    Source: Zadrozny and Elkan, "Transforming Classifier Scores into Accurate Multiclass
    Probability Estimates", KDD 2002; the interpolation is that of Oron and Flournoy, "Centered
    Isotonic Regression", Statistics in Biopharmaceutical Research 9(3), 2017.

    Args:
      z: logits [n].
      label: 0 or 1 [n]; both occur among the examples that weigh something.
      weight: [n], 0 or more.
      min_conversions: examples of either label in each pool, at least 1.
      completeness: F in (0, 1] [n]; none is 1 for all. A pool's rate then is the conversions seen
        over the sum of w F, the estimate of y / F with weights w F.

    Raises:
      ValueError: a label does not occur.
    """
    counts = weight > 0
    z, label, weight = z[counts], label[counts], weight[counts]
    seen = np.ones_like(z) if completeness is None else completeness[counts]
    if not 0 < label.sum() < len(label):
        raise ValueError(f"{int(label.sum())} of {len(label)} labels are 1; wanted both labels")
    z = np.clip(z, *RANGE)
    p = expit(z)
    _, place = np.unique(p, return_inverse=True)
    sums = np.stack([np.bincount(place, v) for v in _sums_of(p, label, weight, seen)])
    steps = isotonic_regression(sums[2] / sums[0], weights=sums[0]).blocks[:-1]
    pools = _join(np.add.reduceat(sums, steps, axis=1), min_conversions)
    x = logit(pools[1] / pools[0])
    y = logit(np.minimum(pools[2] / pools[0], HIGHEST_MEAN))
    expected = weight * seen
    mean = np.full_like(z, min(np.sum(weight * label) / expected.sum(), HIGHEST_MEAN))
    shift = mean_shift(Isotonic(tuple(x), tuple(y)).log_odds(z), mean, expected)
    return Isotonic(tuple(x), tuple(y + shift))


def _sums_of(p: Floats, label: Floats, weight: Floats, seen: Floats) -> tuple[Floats, ...]:
    expected = weight * seen
    return expected, expected * p, weight * label, label, 1 - label


def _join(pools: Floats, least: int) -> Floats:
    """Sums [5, pools] after joining neighbours until each has enough of both labels."""
    joined = [np.zeros(len(pools))]
    for pool in pools.T:
        if joined[-1][3:].min() >= least:
            joined.append(np.zeros(len(pools)))
        joined[-1] = joined[-1] + pool
    if len(joined) > 1 and joined[-1][3:].min() < least:
        last = joined.pop()
        joined[-1] = joined[-1] + last
    return np.stack(joined, axis=1)
