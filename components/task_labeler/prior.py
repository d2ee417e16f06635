"""Priors: what is known of a setup's CVR from its category and advertiser type."""

from __future__ import annotations

import numpy as np

from components.task_labeler.decay import Floats, Ints


def smooth(conversions: Floats, clicks: Floats, prior: Floats | float, strength: float) -> Floats:
    """(C + m * prior) / (N + m), the posterior mean of a rate with `strength` m clicks of prior."""
    return (conversions + strength * prior) / (clicks + strength)


def group_priors(
    conversions: Floats, clicks: Floats, category_of_group: Ints, strength: float, base: float
) -> Floats:
    """Prior CVR of every category x advertiser type on every day.

    Each level leans on the one above it: category x advertiser type on its category, a category
    on all clicks, and all clicks on `base`, each by `strength` clicks.

    Args:
      conversions, clicks: float64 [G, D], decayed sums of each category x advertiser type.
      category_of_group: int64 [G].
      base: CVR before anything was observed.

    Returns:
      float64 [G + 1, D]; the last row is the prior of a group never seen.
    """
    categories = int(category_of_group.max(initial=-1)) + 1
    days = conversions.shape[1]
    by_category = np.zeros((2, categories, days))
    np.add.at(by_category[0], category_of_group, conversions)
    np.add.at(by_category[1], category_of_group, clicks)
    everything = smooth(conversions.sum(axis=0), clicks.sum(axis=0), base, strength)
    category = smooth(by_category[0], by_category[1], everything, strength)
    group = smooth(conversions, clicks, category[category_of_group], strength)
    return np.concatenate([group, everything[None, :]])
