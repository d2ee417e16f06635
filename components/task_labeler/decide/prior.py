"""Priors: what is known of a setup's CVR from its category and advertiser type."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.arrays import Floats, Ints
from components.task_labeler.decide.strength import PriorStrength

CAUTION = 3.0
"""Conversions, and clicks without one, that the CVR of all is estimated with besides: N clicks
without a conversion say that it is below 3 / N and no more (the rule of three, 95 % confidence), so
that a log which has shown too little to call anything rare calls nothing rare."""


@dataclass(frozen=True)
class Priors:
    """Prior CVR on every day.

    Attributes:
      group: float64 [G, D], of each category x advertiser type.
      category: float64 [categories, D].
      overall: float64 [D], of all setups.
    """

    group: Floats
    category: Floats
    overall: Floats


def smooth(
    conversions: Floats, clicks: Floats, prior: Floats | float, strength: Floats | float
) -> Floats:
    """(C + m * prior) / (N + m), the posterior mean of a rate with `strength` m clicks of prior.

    >>> smooth(np.array([0.0, 2.0]), np.array([0.0, 100.0]), prior=0.01, strength=100.0).tolist()
    [0.01, 0.015]
    """
    return (conversions + strength * prior) / (clicks + strength)


def group_priors(
    conversions: Floats,
    clicks: Floats,
    category_of_group: Ints,
    strength: PriorStrength,
) -> Priors:
    """Prior CVR of every category x advertiser type on every day.

    Each level leans on the one above it: category x advertiser type on its category, a category
    on all clicks. The CVR of all clicks is the log's own, by `CAUTION` above what was counted.

    Args:
      conversions, clicks: float64 [G, D], decayed sums of each category x advertiser type.
      category_of_group: int64 [G].
    """
    by_category = np.zeros((2, *strength.by_category.shape))
    np.add.at(by_category[0], category_of_group, conversions)
    np.add.at(by_category[1], category_of_group, clicks)
    overall = smooth(conversions.sum(axis=0), clicks.sum(axis=0), 0.5, 2 * CAUTION)
    category = smooth(by_category[0], by_category[1], overall, strength.overall)
    of_group = strength.by_category[category_of_group]
    group = smooth(conversions, clicks, category[category_of_group], of_group)
    return Priors(group, category, overall)
