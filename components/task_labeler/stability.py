"""Who is hard and who is soft on each day, kept stable over time (paper, section 3.2.3)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from components.task_labeler.decay import Floats, Ints
from components.task_labeler.settings import LabellingSettings

Bools = npt.NDArray[np.bool_]


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


def assign_sides(
    cvr: Floats,
    observed: Ints,
    first_day: Ints,
    pinned: npt.NDArray[np.int8],
    settings: LabellingSettings,
    threshold: float,
) -> Sides:
    """Walks each setup through its days.

    A setup starts on the side of the threshold that its CVR is on (hard iff CVR <= threshold), or
    where the cold-start policy puts it until the first click has been observed. Later it changes
    only past the hysteresis band and after the minimum dwell; leaving a cold start is free of
    both, since no evidence held the setup where it was.

    Args:
      cvr: float64 [R, D], smoothed historical CVR known at the start of each day.
      observed: int64 [R, D], clicks that it rests on.
      first_day: int64 [R], index of each setup's first day; earlier days are not assigned and
        hold `hard = False` and `flipped = False`.
      pinned: int8 [R], 1 pinned hard, 0 pinned soft, -1 free.
    """
    rows, days = cvr.shape
    hard, flipped = np.zeros((rows, days), bool), np.zeros((rows, days), bool)
    reason = np.zeros((rows, days), np.int8)
    state, settled = np.zeros(rows, bool), np.zeros(rows, bool)
    since = np.full(rows, -1, np.int64)
    to_soft, to_hard = threshold * (1 + settings.band), threshold * (1 - settings.band)
    cold_side = {"hard": True, "soft": False}.get(settings.cold_start)
    for d in range(days):
        exists = first_day <= d
        plain = cvr[:, d] <= threshold
        cold = (observed[:, d] == 0) & ~settled
        wanted = np.where(state, cvr[:, d] <= to_soft, cvr[:, d] <= to_hard)
        wanted = np.where(d - since < settings.min_dwell_days, state, wanted)
        wanted = np.where(settled, wanted, plain)
        if cold_side is not None:
            wanted = np.where(cold, cold_side, wanted)
        wanted = np.where(pinned >= 0, pinned == 1, wanted)

        flips = exists & (first_day < d) & (wanted != state)
        since = np.where(exists & ((first_day == d) | flips | ~settled), d, since)
        why = np.where(observed[:, d] < settings.min_clicks, Reason.PRIOR, Reason.HISTORY)
        why = np.where(wanted != plain, Reason.HELD, why)
        why = np.where(cold, Reason.COLD_START, why)
        why = np.where(pinned >= 0, Reason.PINNED, why)
        state = np.where(exists, wanted, state)
        settled |= exists & (observed[:, d] > 0)
        hard[:, d], flipped[:, d], reason[:, d] = exists & state, flips, why
    return Sides(hard, reason, flipped)
