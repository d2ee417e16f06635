"""The labeller's decisions over a whole log under settings of one's choice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from common.arrays import Bools, Floats, Ints
from components.task_labeler.calendar import Calendar
from components.task_labeler.decide.assign import assign_log
from components.task_labeler.decide.counts import merge_counts
from components.task_labeler.settings import LabellingSettings
from labs.stability_lab.log.cells import LabLog


@dataclass(frozen=True)
class Replay:
    """What was decided, aligned with the log's cells.

    Attributes:
      hard: bool [n], the side that training uses.
      online_hard: bool [n], the side that the routing table would have used.
      reason: int8 [n], a `task_labeler.stability.Reason`.
      cvr: float64 [n], smoothed historical CVR known at the start of the day.
      observed: int64 [n], clicks that it rests on.
    """

    hard: Bools
    online_hard: Bools
    reason: npt.NDArray[np.int8]
    cvr: Floats
    observed: Ints


def replay(log: LabLog, settings: LabellingSettings, grouped: bool = True) -> Replay:
    """Assigns every setup on every day, by the labeller's own code.

    Args:
      grouped: whether priors and delay curves may tell categories and advertiser types apart;
        without, every setup leans on the prior of the whole log.
    """
    counts = log.counts if grouped else ungrouped(log.counts)
    calendar = Calendar(log.first_day, log.as_of)
    history, _ = assign_log(counts, calendar, log.attribution_days, settings)
    # The as-of day has a row for every setup, and no clicks yet.
    history = history.filter(pc.less(history["day"], log.as_of))
    return Replay(
        history["hard"].to_numpy(),
        history["online_hard"].to_numpy(),
        history["reason"].to_numpy(),
        history["historical_cvr"].to_numpy(),
        history["observed_clicks"].to_numpy(),
    )


def changed(settings: LabellingSettings, **changes: object) -> LabellingSettings:
    """The settings with some of them replaced, checked again."""
    return type(settings).model_validate(settings.model_dump() | changes)


def ungrouped(counts: pa.Table) -> pa.Table:
    """Counts in which no setup has a category or an advertiser type."""
    blank = pa.array(np.full(counts.num_rows, ""), pa.string())
    for name in ("category", "advertiser_type"):
        counts = counts.set_column(counts.schema.get_field_index(name), name, blank)
    return merge_counts([counts])
