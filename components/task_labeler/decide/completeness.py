"""Completeness curves: which share of its conversions a click has shown by an age."""

from __future__ import annotations

import numpy as np

from common.arrays import Floats, Ints
from components.task_labeler.decide.decay import DailyCounts

SHRINKAGE = 20.0
"""Conversions that the curve of all categories counts for in each category's own."""


def completeness(
    counts: DailyCounts, category_of_row: Ints, categories: int, attribution_days: int, window: int
) -> Floats:
    """Expected share of a click's conversions seen by age k, as known at the start of day d.

    Estimated from clicks that were mature by then (older than the attribution window), so that
    young clicks cannot bend the curve. A category leans on the curve of all categories by
    `SHRINKAGE` conversions; before any mature conversion the curve is 1, which is the naive rule.

    Args:
      counts: R groups of setups.
      category_of_row: int64 [R], the category of each row, in [0, categories).

    Returns:
      float64 [categories, D, window + 1]; entry k is P(delay < k days | converts).
    """
    days = counts.clicks.shape[1]
    delays = attribution_days + 1
    arrived = np.zeros((categories, days, delays))
    known_on = counts.day + attribution_days + 1
    usable = (known_on < days) & (counts.delay < delays)
    where = (category_of_row[counts.row[usable]], known_on[usable], counts.delay[usable])
    np.add.at(arrived, where, counts.conversions[usable])
    arrived = np.cumsum(arrived, axis=1)

    total = arrived.sum(axis=0)
    everyone = _cumulative_share(total, total.sum(axis=-1, keepdims=True))
    pulled = np.cumsum(arrived, axis=-1) + SHRINKAGE * everyone
    curve = pulled / (arrived.sum(axis=-1, keepdims=True) + SHRINKAGE)

    by_age = np.ones((categories, days, window + 1))
    by_age[:, :, 0] = 0.0
    ages = np.arange(1, min(window, delays) + 1)
    by_age[:, :, ages] = curve[:, :, ages - 1]
    return by_age


def _cumulative_share(arrived: Floats, total: Floats) -> Floats:
    """Cumulated over delays, 1 everywhere on days before anything arrived."""
    return np.where(total > 0, np.cumsum(arrived, axis=-1) / np.maximum(total, 1), 1.0)
