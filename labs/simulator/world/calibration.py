"""Intercepts under which a setup's mean probability is its CVR.

A setup's clicks have log-odds b + e, where e is the sum of all effects. As the logistic function
is not linear, E[sigmoid(b + e)] is not sigmoid(b): for rare conversions it is about e^(var/2)
times larger. The intercept b that gives the wanted mean is solved for, over the distribution of e
itself: the effects' distributions are laid on a grid and convolved.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit, ndtr

from common.arrays import Floats, Indices, Ints32

STEP = 0.02
"""Grid step of effects, in log-odds."""

INTERCEPTS = np.arange(-40.0, 25.0, 0.05)
"""Grid on which mean probabilities are tabulated."""

LOWEST, HIGHEST = -14.0, 3.5
"""Bounds of logit CVRs: 8e-7 and .97."""


@dataclass(frozen=True)
class Pmf:
    """Probabilities on the grid: `mass[i]` at (first + i) * STEP."""

    first: int
    mass: Floats

    @classmethod
    def of(cls, values: Floats, weights: Floats) -> Pmf:
        """Of weighted values; each is shared out to its two neighbours, which keeps the mean."""
        position = values / STEP
        below = np.floor(position).astype(np.int64)
        upper = position - below
        first = int(below.min())
        index, size = below - first, int(below.max()) - first + 2
        mass = np.bincount(index, weights * (1 - upper), minlength=size)
        mass += np.bincount(index + 1, weights * upper, minlength=size)
        return cls(first, mass / mass.sum())

    @classmethod
    def normal(cls, sd: float) -> Pmf:
        """The distribution N(0, sd^2) on the grid, cut off at 6 sd."""
        if sd == 0:
            return cls(0, np.ones(1))
        reach = int(np.ceil(6 * sd / STEP))
        edges = (np.arange(-reach, reach + 2) - 0.5) * STEP / sd
        mass = np.diff(ndtr(edges))
        return cls(-reach, mass / mass.sum())

    def __add__(self, other: Pmf) -> Pmf:
        """The distribution of the sum of two independent effects."""
        return Pmf(self.first + other.first, np.convolve(self.mass, other.mass))

    def mix(self, other: Pmf, share: float) -> Pmf:
        """This one, with probability `share`, or else the other."""
        first = min(self.first, other.first)
        last = max(self.first + len(self.mass), other.first + len(other.mass))
        mass = np.zeros(last - first)
        mass[self.first - first :][: len(self.mass)] += share * self.mass
        mass[other.first - first :][: len(other.mass)] += (1 - share) * other.mass
        return Pmf(first, mass)


class MeanProbability:
    """logit E[sigmoid(b + e)] as a function of b, for several distributions of e."""

    def __init__(self, effects: list[Pmf]) -> None:
        first = min(pmf.first for pmf in effects)
        last = max(pmf.first + len(pmf.mass) for pmf in effects)
        mass = np.zeros((last - first, len(effects)))
        for column, pmf in enumerate(effects):
            mass[pmf.first - first :][: len(pmf.mass), column] = pmf.mass
        points = np.arange(first, last) * STEP
        self._table = np.ascontiguousarray(
            logit(expit(INTERCEPTS[:, None] + points[None, :]) @ mass).T
        )

    def logit(self, group: Ints32, intercept: Floats) -> Floats:
        """logit of the mean probability, [n], for distributions [n] and intercepts [n]."""
        step = INTERCEPTS[1] - INTERCEPTS[0]
        position = np.clip((intercept - INTERCEPTS[0]) / step, 0, len(INTERCEPTS) - 1.001)
        below = position.astype(np.int64)
        upper = position - below
        table = self._table
        return (1 - upper) * table[group, below] + upper * table[group, below + 1]


def solve_intercepts(
    wanted: Floats,
    group: Ints32,
    means: MeanProbability,
    row: Indices,
    effect: Floats,
    share: Floats,
) -> Floats:
    """Intercepts b with  sum over creatives c of share(c) * E[sigmoid(b + effect(c) + e)] = CVR.

    Args:
      wanted: logit CVR, [setups], between `LOWEST` and `HIGHEST`.
      group: which distribution of e each of `row` has, [creatives of all setups].
      means: those distributions.
      row, effect, share: the creatives of the setups as a long list: setup, effect on the
        log-odds, and share of the setup's clicks, [creatives of all setups].

    Returns:
      b, [setups].
    """
    intercept = wanted.copy()
    # d logit(mean) / db lies in (0, 1], so that the full step never overshoots.
    for _ in range(500):
        mean = expit(means.logit(group, intercept[row] + effect))
        error = wanted - logit(np.bincount(row, share * mean, minlength=len(wanted)))
        intercept += error
        if np.abs(error).max(initial=0.0) < 1e-9:
            break
    return intercept
