"""What falls on either side in each split, at several alphas, and whether that is enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from common.arrays import Bools, Ints
from common.pages.text import counted, ratio
from components.task_labeler.calendar import Period
from components.task_labeler.decide.counts import NOT_CONVERTED
from components.task_labeler.settings import LabellingSettings
from labs.stability_lab.log.cells import LabLog, Progress
from labs.stability_lab.replay.replay import changed, replay
from schemas.labelled import CALIBRATION, EVAL, JUDGED_SPLITS, TRAIN

FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Alphas looked at by default, as multiples of the configured one."""
LEAST, ENOUGH = 20, 100
"""Hard conversions below which nothing can be told, and from which on a difference can."""
NORMAL_90 = 1.645
"""The normal deviate of a two-sided interval of 90 %."""


@dataclass(frozen=True)
class PeriodVolume:
    """A period at one alpha; conversions as observed by the as-of day.

    Attributes:
      hard_setups: setups with a click on a day on which they were hard.
      known_hard_conversions: observed when the eval period began; of that period and later, all.
    """

    clicks: int
    conversions: int
    hard_setups: int
    hard_clicks: int
    hard_conversions: int
    known_hard_conversions: int


Volumes = Mapping[float, Mapping[str, PeriodVolume]]
"""alpha -> period -> its volume."""


def default_alphas(alpha: float) -> tuple[float, ...]:
    """Multiples of alpha by `FACTORS`, those below 1."""
    return tuple(float(f"{alpha * f:.6g}") for f in FACTORS if alpha * f < 1)


def volumes(
    log: LabLog,
    settings: LabellingSettings,
    alphas: Sequence[float],
    periods: Mapping[str, Period],
    ripening: bool,
    progress: Progress | None = None,
) -> Volumes:
    """Replays the log at each alpha by the labeller's own code.

    Args:
      periods: name -> days.
      ripening: `Contract.labels_ripen`.
    """
    cells = log.cells
    judged = periods[EVAL].first if EVAL in periods and ripening else log.as_of
    known = _known(log, judged)
    by_alpha = {}
    for number, alpha in enumerate(sorted({*alphas}), 1):
        hard = replay(log, changed(settings, alpha=alpha)).hard
        by_alpha[alpha] = {
            name: _volume(log, hard, (cells.day >= p.first) & (cells.day < p.end), known, judged)
            for name, p in periods.items()
        }
        if progress is not None:
            progress(number, len({*alphas}))
    return by_alpha


def _known(log: LabLog, judged: int) -> Ints:
    """Conversions of each cell that were observed before a day, int64 [n]."""
    counts, days = log.counts, log.as_of - log.first_day + 1
    ids = pa.array(log.setups.ids, pa.string())
    setup = pc.index_in(counts["setup_id"], value_set=ids).to_numpy().astype(np.int64)
    day, delay = (counts[name].to_numpy().astype(np.int64) for name in ("day", "delay"))
    seen = (delay != NOT_CONVERTED) & (day + delay < judged)
    codes = log.cells.setup * days + log.cells.day - log.first_day
    cell = np.searchsorted(codes, setup * days + day - log.first_day)
    return np.bincount(cell, counts["clicks"].to_numpy() * seen, len(codes)).astype(np.int64)


def _volume(log: LabLog, hard: Bools, inside: Bools, known: Ints, judged: int) -> PeriodVolume:
    cells, chosen = log.cells, inside & hard
    later = cells.day >= judged
    return PeriodVolume(
        clicks=int(cells.clicks[inside].sum()),
        conversions=int(cells.conversions[inside].sum()),
        hard_setups=len(np.unique(cells.setup[chosen])),
        hard_clicks=int(cells.clicks[chosen].sum()),
        hard_conversions=int(cells.conversions[chosen].sum()),
        known_hard_conversions=int(np.where(later, cells.conversions, known)[chosen].sum()),
    )


@dataclass(frozen=True)
class Support:
    """Whether a log can say if a model of hard conversions is better than another.

    Attributes:
      answer: `no` where a run would stop, `hardly` where its figures would tell nothing.
      reasons: sentences, the weightiest first.
    """

    answer: Literal["yes", "hardly", "no"]
    reasons: tuple[str, ...]


def judge_volumes(splits: Mapping[str, PeriodVolume], at_least: int) -> Support:
    """By the hard conversions of the periods that a judged fit learns from and is judged on.

    Args:
      splits: of each split.
      at_least: hard conversions without which the gate blesses nothing.
    """
    for split in JUDGED_SPLITS:
        volume, missing = splits[split], ""
        if not volume.hard_clicks:
            missing = f"no hard click in the {split} period"
        elif not volume.known_hard_conversions:
            missing = f"no hard conversion known of the {split} period when eval begins"
        if missing:
            return Support("no", (f"{missing}: a run would stop",))
    judged, learned = splits[EVAL].hard_conversions, splits[TRAIN].known_hard_conversions
    calibrated = splits[CALIBRATION].known_hard_conversions
    width = NORMAL_90 / np.sqrt(judged)
    reasons = [
        f"{counted(judged, 'hard conversion')} of {counted(splits[EVAL].hard_setups, 'setup')} to "
        f"judge by: at best, predicted over observed is known to {width:.0%} either way (90 %)",
        f"{counted(learned, 'hard conversion')} to learn from, {calibrated:,} to set the level by",
        f"{ratio(splits[TRAIN].hard_clicks, splits[TRAIN].clicks)} of the clicks to learn from are "
        "hard",
    ]
    if splits[TRAIN].clicks == splits[TRAIN].hard_clicks:
        reasons.append("no soft click to learn from: there is nothing that a second task could add")
    if judged < at_least:
        unblessed = f"the gate wants {at_least} hard conversions to judge by: nothing is blessed"
        return Support("hardly", (f"{unblessed} (gate.min_hard_positives)", *reasons))
    if min(judged, learned) < LEAST:
        return Support("hardly", (f"fewer than {LEAST} hard conversions tell nothing", *reasons))
    if judged < ENOUGH or learned < ENOUGH:
        return Support(
            "hardly", (f"fewer than {ENOUGH} hard conversions: large differences alone", *reasons)
        )
    return Support("yes", tuple(reasons))
