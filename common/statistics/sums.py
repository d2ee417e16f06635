"""Sums over examples from which log loss, RIG, calibration and means follow."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.arrays import Floats

CLIP = 1e-7
"""Probabilities are clipped to [CLIP, 1 - CLIP] before their logarithm is taken: a float32
sigmoid reaches 0 and 1 exactly, and one such prediction would make the loss infinite."""


@dataclass(frozen=True)
class Sums:
    """Weighted sums over examples; the sums of a union are the sums added.

    Attributes:
      weight: sum of w.
      label: sum of w c, c being the label.
      prediction: sum of w p, p being the predicted probability, not clipped.
      loss: sum of w times the log loss, nats.
    """

    weight: float = 0.0
    label: float = 0.0
    prediction: float = 0.0
    loss: float = 0.0

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.weight + other.weight,
            self.label + other.label,
            self.prediction + other.prediction,
            self.loss + other.loss,
        )

    @classmethod
    def of(cls, label: Floats, prediction: Floats, weight: Floats | float = 1.0) -> Sums:
        """Sums over arrays of one length [n]; a scalar weight counts for every example.

        >>> sums = Sums.of(np.array([1.0, 0.0, 0.0, 0.0]), np.array([0.5, 0.25, 0.25, 0.25]))
        >>> round(sums.rig, 3), sums.calibration
        (0.308, 1.25)
        """
        weights = np.broadcast_to(np.asarray(weight, np.float64), label.shape)
        return cls(
            float(weights.sum()),
            float(weights @ label),
            float(weights @ prediction),
            float(weights @ log_loss(label, prediction)),
        )

    @property
    def log_loss(self) -> float:
        """Mean log loss, nats; NaN over nothing."""
        return _ratio(self.loss, self.weight)

    @property
    def mean_label(self) -> float:
        return _ratio(self.label, self.weight)

    @property
    def mean_prediction(self) -> float:
        return _ratio(self.prediction, self.weight)

    @property
    def calibration(self) -> float:
        """Mean prediction over mean label; NaN without conversions."""
        return _ratio(self.prediction, self.label)

    @property
    def rig(self) -> float:
        """Relative information gain, see `components.evaluator.metrics.rig`."""
        return float(1.0 - self.loss / base_loss(self.weight, self.label))


def log_loss(label: Floats, prediction: Floats) -> Floats:
    """-c log(p) - (1-c) log(1-p) of each example [n], nats; labels may be fractions."""
    p = np.clip(prediction.astype(np.float64), CLIP, 1.0 - CLIP)
    loss: Floats = -(label * np.log(p) + (1.0 - label) * np.log1p(-p))
    return loss


def base_loss(weight: npt.ArrayLike, label: npt.ArrayLike) -> Floats:
    """Total log loss of the constant that predicts the mean label gamma, nats.

    NaN where gamma is 0 or 1: there is no information to gain, and RIG is undefined.
    """
    weight, label = np.asarray(weight, np.float64), np.asarray(label, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        gamma = label / weight
        entropy = -(gamma * np.log(gamma) + (1.0 - gamma) * np.log1p(-gamma))
        total: Floats = np.where((gamma > 0.0) & (gamma < 1.0), weight * entropy, np.nan)
    return total


def _ratio(over: float, under: float) -> float:
    return over / under if under > 0.0 else math.nan
