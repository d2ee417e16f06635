"""How well a variant predicts, against the truth itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import xlog1py, xlogy

from common.arrays import Floats

CLIP = 1e-7
"""Predictions are kept this far from 0 and 1 when their loss is taken."""


@dataclass(frozen=True)
class Quality:
    """Sums over ads of true probabilities p and predictions q; add two to merge them.

    Attributes:
      ads, true, predicted: count, sum of p, sum of q.
      loss: expected log loss, sum of -(p ln q + (1 - p) ln(1 - q)), nats.
    """

    ads: int = 0
    true: float = 0.0
    predicted: float = 0.0
    loss: float = 0.0

    @classmethod
    def of(cls, probability: Floats, prediction: Floats) -> Quality:
        """Of ads with true probabilities and predictions, [n] each."""
        q = np.clip(prediction, CLIP, 1 - CLIP)
        loss = -(xlogy(probability, q) + xlog1py(1 - probability, -q)).sum()
        return cls(len(q), float(probability.sum()), float(prediction.sum()), float(loss))

    def __add__(self, other: Quality) -> Quality:
        return Quality(
            self.ads + other.ads,
            self.true + other.true,
            self.predicted + other.predicted,
            self.loss + other.loss,
        )

    @property
    def rig(self) -> float | None:
        """Relative information gain (paper, equation 2), expected over the conversions' draws."""
        if not self.ads or not 0 < self.true < self.ads:
            return None
        gamma = self.true / self.ads
        base = -(gamma * np.log(gamma) + (1 - gamma) * np.log1p(-gamma))
        return float(1 - self.loss / self.ads / base)

    @property
    def calibration(self) -> float | None:
        """Sum of predictions over sum of true probabilities."""
        return self.predicted / self.true if self.true else None
