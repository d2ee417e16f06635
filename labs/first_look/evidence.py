"""What one column alone knows of the label, told on rows that it was not learned from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.arrays import Bools, Floats, Ints
from common.statistics.sums import Sums
from components.task_labeler.decide.strength import estimate_strength, setup_moments
from labs.first_look.columns import Column

BINS = 32
PRIOR_ROWS = 20.0
"""Rows of the mean that each value's rate leans on."""
FEW_VALUES = 64
"""Different numbers up to which each is a value of its own."""
SURE_ROWS = 30
SURE_RATE = 0.9
"""Rows of one value, and the share of them that convert, from where on the value tells too much."""


@dataclass(frozen=True)
class Evidence:
    """A column against the label.

    Attributes:
      rig: relative information gain of the value's rate on the other half of the rows.
      strength: clicks that the mean of all values counts for, `strength.estimate_strength`; the
        less, the more the values' rates differ.
      sure: share of the conversions that lie on values which nearly always convert, on the other
        half of the rows.
      only_converted: the column is filled, or above 0, for half of the conversions and never else.
    """

    rig: float
    strength: float
    sure: float
    only_converted: bool


def evidence(column: Column, label: Ints) -> Evidence:
    """What the column knows of the label, int64 [n] of 0 and 1, with both among them."""
    value = _values(column)
    values = int(value.max()) + 1
    half = np.arange(len(label)) % 2 == 0
    gains, sure = [], []
    for learned in (half, ~half):
        clicks = np.bincount(value[learned], minlength=values).astype(np.float64)
        hits = np.bincount(value[learned & (label == 1)], minlength=values).astype(np.float64)
        base = np.clip(label[learned].mean(), 1e-6, 1 - 1e-6)
        rate = (hits + PRIOR_ROWS * base) / (clicks + PRIOR_ROWS)
        told = ~learned
        gain = Sums.of(label[told], rate[value[told]]).rig
        # Where one half has no conversion there is nothing to gain by any column.
        gains.append(gain if np.isfinite(gain) else -np.inf)
        tells = (clicks >= SURE_ROWS) & (hits >= SURE_RATE * clicks) & (base < 0.5)
        converted = told & (label == 1)
        sure.append(float(tells[value[converted]].mean()) if converted.any() else 0.0)
    return Evidence(
        float(np.mean(gains)),
        _strength(value, label, values),
        min(sure),
        _only_converted(column, label == 1),
    )


def _values(column: Column) -> Ints:
    """Numbers from 0 on: values of a key, quantiles of a number; none is a value."""
    if column.moments is not None:
        return _binned(column.moments.seconds)
    if column.number is not None and column.distinct > FEW_VALUES and column.kind == "number":
        return _binned(column.number)
    return column.code + 1


def _binned(numbers: Floats) -> Ints:
    known = numbers[~np.isnan(numbers)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1))) if len(known) else known
    bins: Ints = np.searchsorted(edges, numbers, side="right").astype(np.int64) + 1
    bins[numbers == 0] = len(edges) + 2
    bins[np.isnan(numbers)] = 0
    return bins


def _strength(value: Ints, label: Ints, values: int) -> float:
    clicks = np.bincount(value, minlength=values).astype(np.float64)[:, None]
    hits = np.bincount(value[label == 1], minlength=values).astype(np.float64)[:, None]
    one = np.zeros(values, np.int64)
    moments = setup_moments(hits, clicks, clicks, one, 1)
    return float(estimate_strength(moments, np.zeros(1, np.int64), 1, 1)[1][0])


def _only_converted(column: Column, converted: Bools) -> bool:
    there = column.there
    if column.number is not None and column.moments is None:
        there = there & (column.number > 0)
    return bool(there[converted].mean() >= 0.5 and not there[~converted].any())
