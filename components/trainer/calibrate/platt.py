"""Calibration by a line: a shift of the logit, or Platt scaling, logistic regression on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import tensorflow as tf
from scipy.optimize import brentq, minimize
from scipy.special import expit, logit

from common.arrays import Floats
from components.trainer.wide.likelihood import derivatives, loss

CONVERGED = 1e-9
"""Norm of the mean gradient, of targets minus probabilities, at which the fit ends."""

HIGHEST_MEAN = 1 - 1e-9
"""Of a mean prediction: completeness that is too low can ask for more than 1."""


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


@dataclass(frozen=True)
class Level:
    """probability = sigmoid(z + intercept)."""

    method: ClassVar[str] = "level"
    intercept: float

    def probability(self, z: Floats) -> Floats:
        """Calibrated probabilities of logits [n]."""
        return expit(z + self.intercept)

    def graph(self, z: tf.Tensor) -> tf.Tensor:
        """The same in TensorFlow, float64 [n]."""
        return tf.sigmoid(z + self.intercept)


def fit_level(
    z: Floats,
    label: Floats,
    weight: Floats,
    completeness: Floats | None = None,
    prior_conversions: float = 0.0,
) -> Level:
    """Makes the mean prediction that of the labels, as far as the conversions bear it out.

    With P(b) = sum of w F sigmoid(z + b) the conversions that a shift expects to have been seen,
    C = sum of w y those that were and k the prior's,

        P(b) = P(0) (C + k) / (P(0) + k)

    which is the posterior mean of the level under a gamma prior of mean 1 and k conversions: no
    conversions at all are no shift to minus infinity.

    Args:
      z: logits [n], n > 0.
      label: 0 or 1 [n].
      weight: [n], 0 or more, some above 0.
      completeness: F in (0, 1] [n], share of the conversions seen by now; none is 1 for all.
      prior_conversions: k.
    """
    expected = weight if completeness is None else weight * completeness
    before = float(np.sum(expected * expit(z)))
    ratio = (float(np.sum(weight * label)) + prior_conversions) / (before + prior_conversions)
    mean = before * ratio / float(expected.sum())
    return Level(mean_shift(z, np.full_like(z, min(mean, HIGHEST_MEAN)), expected))


def fit_platt(
    z: Floats, label: Floats, weight: Floats, completeness: Floats | None = None
) -> Platt:
    """Minimises the log loss of sigmoid(a z + b) against targets a little inside 0 and 1.

    With N+ and N- the weights of the two labels, the targets are (N+ + 1) / (N+ + 2) and
    1 / (N- + 2): the mean of the rate of each label under a uniform prior. They keep a and b finite
    whatever the examples are. Where a would not be positive, the order of the logits says nothing
    that a calibration may keep: then a = 1, and b alone is fitted. Where labels may still change
    the loss is that of p F, see `components.trainer.wide.likelihood`.

    Source: Platt, "Probabilistic Outputs for Support Vector Machines", Advances in Large Margin
    Classifiers, 1999; by Newton's method in a trust region, Fisher's information its curvature.

    Args:
      z: logits [n], n > 0.
      label: 0 or 1 [n].
      weight: [n], 0 or more, some above 0.
      completeness: F in (0, 1] [n]; none is 1 for all.
    """
    positive = label > 0.5
    high, low = weight[positive].sum(), weight[~positive].sum()
    target = np.where(positive, (high + 1) / (high + 2), 1 / (low + 2))
    center = float(np.average(z, weights=weight))
    scale = float(np.sqrt(np.average((z - center) ** 2, weights=weight)))
    if scale > 0:
        a, b = _maximum_likelihood((z - center) / scale, target, weight, completeness).tolist()
        if a > 0:
            return Platt(a / scale, b - a * center / scale)
    expected = weight if completeness is None else weight * completeness
    share = np.sum(weight * target) / np.sum(expected)
    return Platt(1.0, mean_shift(z, np.full_like(z, min(share, HIGHEST_MEAN)), expected))


def _maximum_likelihood(
    x: Floats, target: Floats, weight: Floats, completeness: Floats | None
) -> Floats:
    """Slope and intercept on logits of mean 0 and deviation 1."""
    share = weight / weight.sum()
    inputs = np.stack([x, np.ones_like(x)])

    def mean_loss(at: Floats) -> tuple[float, Floats]:
        z = at @ inputs
        slope = derivatives(z, target, 0.0, completeness).slope
        return float(share @ loss(z, target, 0.0, completeness)), inputs @ (share * slope)

    def curvature(at: Floats) -> Floats:
        information = derivatives(at @ inputs, target, 0.0, completeness).information
        return (inputs * (share * information)) @ inputs.T

    start = np.array([0.0, logit(share @ target)])
    fit = minimize(
        mean_loss,
        start,
        jac=True,
        hess=curvature,
        method="trust-exact",
        options={"gtol": CONVERGED},
    )
    best: Floats = fit.x
    return best


def mean_shift(z: Floats, target: Floats, weight: Floats) -> float:
    """The b with which the mean of sigmoid(z + b) is that of the targets, inside (0, 1)."""
    middle = float(logit(np.average(target, weights=weight)))
    lowest, highest = middle - float(z.max()), middle - float(z.min())
    if lowest == highest:
        return lowest
    return float(brentq(lambda b: np.sum(weight * (expit(z + b) - target)), lowest, highest))
