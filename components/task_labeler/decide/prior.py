"""Priors: what is known of a setup's CVR from its category and advertiser type."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.arrays import Floats, Ints
from components.task_labeler.decide.strength import PriorStrength


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
    """(C + m * prior) / (N + m), the posterior mean of a rate with `strength` m clicks of prior."""
    return (conversions + strength * prior) / (clicks + strength)


def group_priors(
    conversions: Floats,
    clicks: Floats,
    category_of_group: Ints,
    strength: PriorStrength,
    base: float,
) -> Priors:
    """Prior CVR of every category x advertiser type on every day.

    Each level leans on the one above it: category x advertiser type on its category, a category
    on all clicks, and all clicks on `base`.

    Args:
      conversions, clicks: float64 [G, D], decayed sums of each category x advertiser type.
      category_of_group: int64 [G].
      base: CVR before anything was observed.
    """
    by_category = np.zeros((2, *strength.by_category.shape))
    np.add.at(by_category[0], category_of_group, conversions)
    np.add.at(by_category[1], category_of_group, clicks)
    overall = smooth(conversions.sum(axis=0), clicks.sum(axis=0), base, strength.overall)
    category = smooth(by_category[0], by_category[1], overall, strength.overall)
    of_group = strength.by_category[category_of_group]
    group = smooth(conversions, clicks, category[category_of_group], of_group)
    return Priors(group, category, overall)
