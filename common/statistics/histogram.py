"""A mergeable histogram of predictions on the logit scale, and the ranking metrics it gives.

Conversion probabilities lie near 0: of 10,000 equal bins on [0, 1], all predictions of a slice
below 1% share a hundred. Bins of equal width in log(p / (1-p)) are as fine at 0.0005 as at 0.5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from common.arrays import Floats, Ints32

BIN_WIDTH = 2.0**-11
"""Width of a bin in logits: predictions closer than 0.05% of p (1-p) count as tied."""

LOGIT_RANGE = 32.0
"""Logits are clipped to +-LOGIT_RANGE, which is p = 1e-14."""

UNDEFINED = np.iinfo(np.int32).max
"""Bin of predictions that are NaN; a histogram that holds any has no ranking metric."""


@dataclass(frozen=True)
class Histogram:
    """Weight of negatives and positives in the bins that hold any.

    Attributes:
      bins: int32 [k], increasing.
      negatives, positives: float64 [k], weights.
    """

    bins: Ints32
    negatives: Floats
    positives: Floats

    @classmethod
    def empty(cls) -> Histogram:
        return cls(np.empty(0, np.int32), np.empty(0), np.empty(0))

    @classmethod
    def of(cls, label: Floats, prediction: Floats, weight: Floats) -> Histogram:
        """From arrays [n]; labels lie in [0, 1] and split the weight.

        >>> label, prediction = np.array([1.0, 0.0, 0.0, 1.0]), np.array([0.9, 0.2, 0.4, 0.3])
        >>> Histogram.of(label, prediction, np.ones(4)).auc
        0.75
        """
        return _collect(logit_bins(prediction), weight * (1.0 - label), weight * label)

    def merge(self, *others: Histogram) -> Histogram:
        """The histogram of the union of the examples."""
        parts = (self, *others)
        return _collect(
            np.concatenate([p.bins for p in parts]),
            np.concatenate([p.negatives for p in parts]),
            np.concatenate([p.positives for p in parts]),
        )

    @property
    def auc(self) -> float:
        """Share of (positive, negative) pairs ranked rightly, ties counting half.

        Off the exact area by at most half the weight of the pairs that share a bin, see
        `tied_pairs`. NaN without positives or without negatives.
        """
        pairs = self._pairs()
        if math.isnan(pairs):
            return math.nan
        below = np.cumsum(self.negatives) - self.negatives
        return float(self.positives @ (below + 0.5 * self.negatives)) / pairs

    @property
    def average_precision(self) -> float:
        """Area under the precision-recall curve as a sum of steps, without interpolation:
        sum over bins, highest first, of (rise of recall) x precision."""
        if math.isnan(self._pairs()):
            return math.nan
        recalled = np.cumsum(self.positives[::-1])
        taken = recalled + np.cumsum(self.negatives[::-1])
        precision = np.divide(recalled, taken, out=np.zeros_like(recalled), where=taken > 0.0)
        return float(self.positives[::-1] @ precision / recalled[-1])

    @property
    def tied_pairs(self) -> float:
        """Share of (positive, negative) pairs that share a bin."""
        return float(self.positives @ self.negatives) / self._pairs()

    def _pairs(self) -> float:
        undefined = len(self.bins) > 0 and self.bins[-1] == UNDEFINED
        pairs = float(self.positives.sum() * self.negatives.sum())
        return math.nan if undefined or pairs <= 0.0 else pairs


def logit_bins(prediction: Floats) -> Ints32:
    """The bin of each prediction, int32 [n]; `UNDEFINED` for NaN."""
    p = prediction.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        logit = np.clip(np.log(p) - np.log1p(-p), -LOGIT_RANGE, LOGIT_RANGE)
    known = np.isfinite(logit)
    bins = np.full(p.shape, UNDEFINED, np.int32)
    bins[known] = np.floor(logit[known] / BIN_WIDTH).astype(np.int32)
    return bins


def _collect(bins: Ints32, negatives: Floats, positives: Floats) -> Histogram:
    unique, place = np.unique(bins, return_inverse=True)
    return Histogram(
        unique,
        *(np.bincount(place, w, len(unique)).astype(np.float64) for w in (negatives, positives)),
    )
