"""Settings that a log would be better off without, told before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from common.as_of import resolve_as_of
from common.days import to_day
from common.files.arrow import parquet_table
from common.runs.files import AssignmentFile
from components.task_labeler.settings import as_labelled
from pipeline.config import PipelineConfig

if TYPE_CHECKING:
    from labs.stability_lab.log.cells import LabLog

MOST_COUNTS = 1_000_000
"""Counts of a log up to which a run replays it: some seconds of a processor."""


def harmful_settings(log: LabLog, config: PipelineConfig) -> Iterator[str]:
    """`dominated_settings` of a log after its warm-up, judged by its own later clicks."""
    from labs.stability_lab.log.judge import Hindsight, first_evaluated
    from labs.stability_lab.replay.dominated import dominated_settings

    contract = config.data_contract
    labelling = as_labelled(config.labelling, contract)
    first = first_evaluated(log, config.splits.warmup(log.as_of - log.first_day))
    judge = Hindsight(log, labelling.window_days)
    # Without conversion times there is no choice of it.
    fixed = {"delay"} if contract.roles.conversion_timestamp is None else set()
    yield from dominated_settings(log, labelling, judge, log.cells.day >= first, fixed)


def harm_of_labels(config: PipelineConfig, assignments: Path) -> Iterator[str]:
    """As `harmful_settings`, by what a run's labeller has counted; nothing of logs that would take
    long to replay: `hardtower check` does those.

    Args:
      assignments: folder of the run's TaskAssignments.
    """
    from labs.stability_lab.log.cells import build_log

    counts = parquet_table(assignments / AssignmentFile.COUNTS)
    if 0 < counts.num_rows <= MOST_COUNTS:
        window = config.data_contract.attribution_window_days
        log = build_log(counts, to_day(resolve_as_of(config.as_of)), window)
        yield from harmful_settings(log, config)
