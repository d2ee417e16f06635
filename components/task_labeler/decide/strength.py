"""How many clicks the prior counts for, estimated from how much setups differ.

Setups of one category x advertiser type draw their CVR from a Beta distribution of mean p and
intraclass correlation rho = 1 / (m + 1), m being the clicks that its mean is worth (beta-binomial
model). A setup's C decayed conversions of N decayed clicks, of squared weights V = sum of w^2,
have the rate r = C / N with

    Var(r) = p (1 - p) (rho + (1 - rho) V / N^2)

and the weighted sum of squares S = sum of N (r - p)^2 over the k setups of a group, p being their
pooled rate, has the expectation

    E[S] = p (1 - p) (rho A + (1 - rho) B)
    A = sum N - sum N^2 / sum N,    B = sum V / N - sum V / sum N

Without decay V = N, B = k - 1, and this is the moment estimator of Kleinman, "Proportions with
extraneous variance: single and independent samples", JASA 68 (1973), with weights N. Solved for
rho and pooled over the groups g of a category:

    rho = sum of (S_g - B_g p_g q_g) / sum of (A_g - B_g) p_g q_g,    m = 1 / rho - 1
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.arrays import Floats, Ints

WEAKEST, STRONGEST = 1.0, 10_000.0
"""Bounds of an estimated strength, clicks."""
UNTIL_ESTIMATED = 200.0
"""Strength before setups can tell, clicks."""
MOMENTS = 7
"""k, sum N, sum C, sum N^2, sum C^2 / N, sum V, sum V / N."""


@dataclass(frozen=True)
class PriorStrength:
    """Clicks that a prior counts for.

    Attributes:
      by_category: float64 [categories, D], for setups and groups of a category.
      overall: float64 [D], for categories. Not estimated: how alike the setups of a category are
        says nothing of how alike categories are, and of these there are too few to tell.
    """

    by_category: Floats
    overall: Floats


def fixed_strength(clicks: float, categories: int, days: int) -> PriorStrength:
    return PriorStrength(np.full((categories, days), clicks), np.full(days, clicks))


def setup_moments(
    conversions: Floats, clicks: Floats, variances: Floats, group_of_setup: Ints, groups: int
) -> Floats:
    """Sums over the setups of each group; they add up over disjoint sets of setups.

    Args:
      conversions, clicks, variances: float64 [R, F], C, N and V of R setups on F days.
      group_of_setup: int64 [R], in [0, groups).

    Returns:
      float64 [MOMENTS, groups, F].
    """
    known = clicks > 0
    per_click = np.divide(1.0, clicks, out=np.zeros_like(clicks), where=known)
    terms = (
        known.astype(np.float64),
        clicks,
        conversions,
        clicks**2,
        conversions**2 * per_click,
        variances,
        variances * per_click,
    )
    sums = np.zeros((MOMENTS, groups, clicks.shape[1]))
    for total, term in zip(sums, terms, strict=True):
        np.add.at(total, group_of_setup, term)
    return sums


def estimate_strength(
    moments: Floats, category_of_group: Ints, categories: int, min_setups: int
) -> tuple[Floats, Floats]:
    """Strength of each category and of all, by the formula above.

    A category with fewer than `min_setups` setups beyond the first of each group takes the
    estimate of all, which is `UNTIL_ESTIMATED` when there are too few in all.

    Args:
      moments: float64 [MOMENTS, G, F].

    Returns:
      float64 [categories, F] and [F], rounded to six digits, so that the order in which setups
      were summed cannot show.
    """
    setups, clicks, conversions, clicks2, rates, variance, noise = moments
    per_click = np.divide(1.0, clicks, out=np.zeros_like(clicks), where=clicks > 0)
    p = np.clip(conversions * per_click, 0.0, 1.0)
    spread = rates - conversions**2 * per_click
    widest = clicks - clicks2 * per_click
    least = noise - variance * per_click
    several = setups >= 2
    excess = np.where(several, spread - least * p * (1 - p), 0.0)
    room = np.where(several, (widest - least) * p * (1 - p), 0.0)
    freedom = np.where(several, setups - 1, 0.0)

    sums = np.zeros((3, categories, clicks.shape[1]))
    for total, term in zip(sums, (excess, room, freedom), strict=True):
        np.add.at(total, category_of_group, term)
    default = np.full(clicks.shape[1], UNTIL_ESTIMATED)
    overall = _solve(sums.sum(axis=1), default, min_setups)
    by_category = _solve(sums, np.broadcast_to(overall, sums[0].shape), min_setups)
    return by_category, overall


def held_between(refit_days: Ints, estimates: Floats, days: Ints) -> Floats:
    """Estimates of the last refit day up to each day, `UNTIL_ESTIMATED` before the first.

    Args:
      estimates: float64 [..., F], one a refit day.

    Returns:
      float64 [..., D].
    """
    before = np.full((*estimates.shape[:-1], 1), UNTIL_ESTIMATED)
    padded = np.concatenate([before, estimates], axis=-1)
    return padded[..., np.searchsorted(refit_days, days, side="right")]


def _solve(sums: Floats, other: Floats, least: int) -> Floats:
    excess, room, freedom = sums
    usable = (freedom >= least) & (room > 1e-9)
    rho = np.divide(excess, room, out=np.ones_like(room), where=usable)
    rho = np.clip(rho, 1 / (STRONGEST + 1), 1 / (WEAKEST + 1))
    return np.where(usable, _six_digits(1 / rho - 1), other)


def _six_digits(values: Floats) -> Floats:
    return np.array([float(f"{value:.6g}") for value in values.ravel()]).reshape(values.shape)
