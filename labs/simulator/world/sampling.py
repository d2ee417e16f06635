"""Discrete distributions: Zipf weights, and draws in constant time per draw."""

from __future__ import annotations

import numpy as np

from common.arrays import Floats, Ints32


def zipf_weights(size: int, exponent: float) -> Floats:
    """w(r) proportional to r^-exponent for r = 1..size, [size], summing to 1."""
    weights = np.arange(1, size + 1, dtype=np.float64) ** -exponent
    return weights / weights.sum()


class Sampler:
    """Draws from a discrete distribution by inversion, with a guide table.

    Cell g of the table holds the value at probability g/G, from where the search walks on; with
    at least as many cells as values that is one or two steps on average (Chen and Asau, 1974).
    """

    def __init__(self, weights: Floats) -> None:
        """weights: [n], not negative, not all 0."""
        cumulative = np.cumsum(weights, dtype=np.float64)
        self._cumulative = cumulative / cumulative[-1]
        # A power of two, so that cell / cells <= u holds exactly in floating point.
        self._cells = 1 << int(np.ceil(np.log2(2 * len(weights))))
        edges = np.arange(self._cells) / self._cells
        self._guide = np.searchsorted(self._cumulative, edges, side="right").astype(np.int32)

    def __call__(self, uniforms: Floats) -> Ints32:
        """Values 0..n-1, [k], by inversion of uniforms in [0, 1), [k]."""
        values = self._guide[(uniforms * self._cells).astype(np.int32)]
        rows = np.flatnonzero(self._cumulative[values] <= uniforms)
        while rows.size:
            values[rows] += 1
            rows = rows[self._cumulative[values[rows]] <= uniforms[rows]]
        return values


class GroupSampler:
    """Draws a member of a given group; the members of a group lie side by side."""

    def __init__(self, group: Ints32, weights: Floats, groups: int) -> None:
        """group: [n], ascending, every one of 0..groups-1 in it; weights: [n], positive."""
        totals = np.bincount(group, weights, minlength=groups)
        self._last = np.cumsum(np.bincount(group, minlength=groups)).astype(np.int32) - 1
        # One long ladder: group g owns the steps in (g, g + 1].
        self._ladder = np.cumsum(weights / totals[group])

    def __call__(self, groups: Ints32, uniforms: Floats) -> Ints32:
        """Member indexes [k] for groups [k] and uniforms in [0, 1), [k]."""
        members = np.searchsorted(self._ladder, groups + uniforms, side="right")
        # Rounding may leave a ladder step a hair off its whole number.
        first = np.where(groups > 0, self._last[groups - 1] + 1, 0)
        return np.clip(members, first, self._last[groups]).astype(np.int32)


def by_group(values: Ints32, weights: Floats) -> Floats:
    """Weights divided by the total of their group, [n]; 0 where a group's total is 0."""
    totals = np.bincount(values, weights)[values]
    return np.divide(weights, totals, out=np.zeros_like(weights), where=totals > 0)
