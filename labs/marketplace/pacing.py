"""Budget pacing: how much of its demand a setup shows."""

from __future__ import annotations

import numpy as np

from common.arrays import Floats

LOWEST = 1e-3
"""Floor of the share, so that a setup finds its way back."""


def adjusted(share: Floats, spent: Floats, planned: Floats, step: float) -> Floats:
    """Next share, [setups]: less by `step` where more was spent than planned, otherwise more.

    The rule of Agarwal, Ghosh, Wei and You, "Budget Pacing for Targeted Online Advertisements at
    LinkedIn" (KDD 2014).

    Args:
      share: share of its auctions (or of its bid) that each setup goes for, in (0, 1].
      spent, planned: so far in the day, US dollars.
      step: relative change.
    """
    return np.clip(np.where(spent > planned, share * (1 - step), share * (1 + step)), LOWEST, 1.0)
