"""Platt scaling: logistic regression on the logit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import tensorflow as tf
from scipy.optimize import brentq
from scipy.special import expit, logit

from common.arrays import Floats

MAX_STEPS = 100
CONVERGED = 1e-12
"""Mean gradient, of targets minus probabilities, at which Newton's method ends."""


@dataclass(frozen=True)
class Platt:
    """probability = sigmoid(slope z + intercept), slope > 0."""

    method: ClassVar[str] = "platt"
    slope: float
    intercept: float

    def probability(self, z: Floats) -> Floats:
        """Calibrated probabilities of logits [n]."""
        return expit(self.slope * z + self.intercept)

    def graph(self, z: tf.Tensor) -> tf.Tensor:
        """The same in TensorFlow, float64 [n]."""
        return tf.sigmoid(self.slope * z + self.intercept)


def fit_platt(z: Floats, label: Floats, weight: Floats) -> Platt:
    """Minimises the log loss of sigmoid(a z + b) against targets a little inside 0 and 1.

    With N+ and N- the weights of the two labels, the targets are (N+ + 1) / (N+ + 2) and
    1 / (N- + 2): the mean of the rate of each label under a uniform prior. They keep a and b finite
    whatever the examples are. Where a would not be positive, the order of the logits says nothing
    that a calibration may keep: then a = 1, and b alone is fitted.

    Source: Platt, "Probabilistic Outputs for Support Vector Machines", Advances in Large Margin
    Classifiers, 1999; Newton's method with backtracking as Lin, Lin and Weng, "A Note on Platt's
    Probabilistic Outputs", Machine Learning 68, 2007.

    Args:
      z: logits [n], n > 0.
      label: 0 or 1 [n].
      weight: [n], 0 or more, some above 0.
    """
    positive = label > 0.5
    high, low = weight[positive].sum(), weight[~positive].sum()
    target = np.where(positive, (high + 1) / (high + 2), 1 / (low + 2))
    center = float(np.average(z, weights=weight))
    scale = float(np.sqrt(np.average((z - center) ** 2, weights=weight)))
    if scale > 0:
        a, b = _newton((z - center) / scale, target, weight)
        if a > 0:
            return Platt(a / scale, b - a * center / scale)
    return Platt(1.0, mean_shift(z, target, weight))


def _newton(x: Floats, target: Floats, weight: Floats) -> tuple[float, float]:
    """Slope and intercept on logits of mean 0 and deviation 1."""
    share = weight / weight.sum()
    inputs = np.stack([x, np.ones_like(x)])
    best = np.array([0.0, logit(np.sum(share * target))])
    loss = _loss(best @ inputs, target, share)
    for _ in range(MAX_STEPS):
        p = expit(best @ inputs)
        gradient = inputs @ (share * (p - target))
        if np.abs(gradient).max() < CONVERGED:
            break
        step = np.linalg.solve((inputs * (share * p * (1 - p))) @ inputs.T, gradient)
        length = 1.0
        while length > 1e-10:
            tried = best - length * step
            if (found := _loss(tried @ inputs, target, share)) < loss:
                break
            length /= 2
        else:
            break
        best, loss = tried, found
    return float(best[0]), float(best[1])


def _loss(z: Floats, target: Floats, share: Floats) -> float:
    return float(np.sum(share * (np.logaddexp(0, z) - target * z)))


def mean_shift(z: Floats, target: Floats, weight: Floats) -> float:
    """The b with which the mean of sigmoid(z + b) is that of the targets, inside (0, 1)."""
    middle = float(logit(np.average(target, weights=weight)))
    lowest, highest = middle - float(z.max()), middle - float(z.min())
    if lowest == highest:
        return lowest
    return float(brentq(lambda b: np.sum(weight * (expit(z + b) - target)), lowest, highest))
