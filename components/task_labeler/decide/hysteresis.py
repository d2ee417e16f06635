"""Who is hard and who is soft on each day, kept stable over time (paper, section 3.2.3)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt
from scipy.special import betainc

from common.arrays import Bools, Floats, Ints
from components.task_labeler.settings import LabellingSettings

Where = tuple[slice | Ints, int | Ints]
"""Index of setups and days into arrays [R, D]."""


class Reason(IntEnum):
    """Why a setup has its side on a day."""

    HISTORY = 0
    PRIOR = 1
    HELD = 2
    COLD_START = 3
    PINNED = 4


@dataclass(frozen=True)
class Sides:
    """Sides of R setups on D days.

    Attributes:
      hard: bool [R, D].
      reason: int8 [R, D], a `Reason`.
      flipped: bool [R, D], the side differs from the day before.
    """

    hard: Bools
    reason: npt.NDArray[np.int8]
    flipped: Bools


@dataclass(frozen=True)
class Posterior:
    """Beta distributions of what is known of the CVR of R setups on D days.

    With m clicks of prior: hits = m * prior + C, misses = m * (1 - prior) + N - C.

    Attributes:
      hits, misses: float64 [R, D], above 0.
    """

    hits: Floats
    misses: Floats

    def at_most(self, where: Where, threshold: Floats) -> Floats:
        """P(CVR <= threshold) at some places of the arrays, one threshold a place."""
        capped = np.minimum(threshold, 1.0)
        probability: Floats = betainc(self.hits[where], self.misses[where], capped)
        return probability


def posterior(
    conversions: Floats, clicks: Floats, prior: Floats, strength: Floats | float
) -> Posterior:
    """The Beta posterior of which `prior.smooth` is the mean; C is at most N."""
    return Posterior(
        strength * prior + conversions, strength * (1 - prior) + (clicks - conversions)
    )


def assign_sides(
    cvr: Floats,
    observed: Ints,
    first_day: Ints,
    pinned: npt.NDArray[np.int8],
    settings: LabellingSettings,
    threshold: float,
    belief: Posterior | None = None,
) -> Sides:
    """Walks each setup through its days.

    A setup starts on its plain side (hard iff CVR <= threshold, or iff P(CVR <= threshold) >=
    `min_probability`), or where the cold-start policy puts it until the first click has been
    observed. Later it changes only after the minimum dwell, and by the same rule with another
    threshold: threshold x (1 + band) for a hard setup, threshold x (1 - band) for a soft one.
    Leaving a cold start is free of both, and the dwell begins with the first decision that rests
    on evidence, `min_clicks` observed clicks: what little was known before holds no setup where it
    was. A setup whose pin ends is where the pin put it, and changes like any other.

    With a band of a tenth, a hard setup turns soft above 1.1 %, not above 1 %:

    >>> sides = assign_sides(
    ...     cvr=np.array([[0.008, 0.0105, 0.012]]),
    ...     observed=np.full((1, 3), 5_000),
    ...     first_day=np.array([0]),
    ...     pinned=np.array([-1], np.int8),
    ...     settings=LabellingSettings(band=0.1, min_dwell_days=0),
    ...     threshold=0.01,
    ... )
    >>> sides.hard.tolist(), [Reason(why).name for why in sides.reason[0]]
    ([[True, True, False]], ['HISTORY', 'HELD', 'HISTORY'])

    Args:
      cvr: float64 [R, D], smoothed historical CVR known at the start of each day.
      observed: int64 [R, D], clicks that it rests on.
      first_day: int64 [R], index of each setup's first day; earlier days are not assigned and
        hold `hard = False` and `flipped = False`.
      pinned: int8 [R] or [R, D], 1 pinned hard, 0 pinned soft, -1 free.
      belief: the posterior to decide on; by the CVR alone when None.
    """
    rows, days = cvr.shape
    if pinned.ndim == 1:
        pinned = np.broadcast_to(pinned[:, None], (rows, days))

    def low(d: int, edge: Floats) -> Bools:
        if belief is None:
            return np.asarray(cvr[:, d] <= edge)
        return np.asarray(belief.at_most((slice(None), d), edge) >= settings.min_probability)

    hard, flipped = np.zeros((rows, days), bool), np.zeros((rows, days), bool)
    reason = np.zeros((rows, days), np.int8)
    state, settled, rested = (np.zeros(rows, bool) for _ in range(3))
    since = np.full(rows, -1, np.int64)
    to_soft, to_hard = threshold * (1 + settings.band), threshold * (1 - settings.band)
    cold_side = {"hard": True, "soft": False}.get(settings.cold_start)
    for d in range(days):
        exists = first_day <= d
        plain = low(d, np.full(rows, threshold))
        cold = (observed[:, d] == 0) & ~settled
        wanted = low(d, np.where(state, to_soft, to_hard))
        dwells = rested & (d - since < settings.min_dwell_days)
        wanted = np.where(dwells, state, wanted)
        wanted = np.where(settled, wanted, plain)
        if cold_side is not None:
            wanted = np.where(cold, cold_side, wanted)
        wanted = np.where(pinned[:, d] >= 0, pinned[:, d] == 1, wanted)

        flips = exists & (first_day < d) & (wanted != state)
        since = np.where(exists & (flips | ~rested), d, since)
        why = np.where(observed[:, d] < settings.min_clicks, Reason.PRIOR, Reason.HISTORY)
        why = np.where(wanted != plain, Reason.HELD, why)
        why = np.where(cold, Reason.COLD_START, why)
        why = np.where(pinned[:, d] >= 0, Reason.PINNED, why)
        state = np.where(exists, wanted, state)
        settled |= exists & (observed[:, d] > 0)
        rested |= exists & (observed[:, d] >= settings.min_clicks)
        hard[:, d], flipped[:, d], reason[:, d] = exists & state, flips, why
    return Sides(hard, reason, flipped)
