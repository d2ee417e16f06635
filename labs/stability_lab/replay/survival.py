"""Time to an event that some have not had by the end (Kaplan and Meier's product limit)."""

from __future__ import annotations

import numpy as np

from common.arrays import Bools, Floats


def quantile(time: Floats, happened: Bools, share: float) -> float | None:
    """Smallest time by which the event has happened to at least `share` of all.

        S(t) = product over event times u <= t of (1 - events(u) / at risk(u))

    Args:
      time: float64 [n], until the event, or until watching ended without it.
      happened: bool [n].

    Returns:
      None when fewer than that were ever seen to have it, or n is 0.
    """
    surviving = 1.0
    for moment in np.unique(time[happened]):
        at_risk = int((time >= moment).sum())
        surviving *= 1 - int((happened & (time == moment)).sum()) / at_risk
        # Within rounding: a product of fractions may miss 1 - share by a bit.
        if 1 - surviving >= share - 1e-12:
            return float(moment)
    return None
