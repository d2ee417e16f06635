"""Settings that a log would be better off without, told before a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from common.as_of import resolve_as_of
from components.example_gen.peek import COUNTED_ROWS
from components.task_labeler.settings import LabellingSettings, SplitSettings, with_pins
from pipeline.config import PipelineConfig
from pipeline.runs.outlook import Outlook

if TYPE_CHECKING:
    from labs.stability_lab.log.cells import LabLog


def harmful_settings(
    log: LabLog, labelling: LabellingSettings, splits: SplitSettings
) -> Iterator[str]:
    """`dominated_settings` of a log after its warm-up, judged by its own later clicks."""
    from labs.stability_lab.log.judge import Hindsight, first_evaluated
    from labs.stability_lab.replay.dominated import dominated_settings

    first = first_evaluated(log, splits.warmup(log.as_of - log.first_day))
    judge = Hindsight(log, labelling.window_days)
    yield from dominated_settings(log, labelling, judge, log.cells.day >= first)


def harm_ahead(config: PipelineConfig, outlook: Outlook) -> Iterator[str]:
    """As `harmful_settings`, of a run; nothing of logs that would take long to read twice, or whose
    number of rows is not known beforehand: `hardtower check` reads those.

    Raises:
      InputError: a file or column is wrong.
    """
    rows = outlook.span.rows
    if rows is None or rows > COUNTED_ROWS:
        return
    from labs.stability_lab.log.read import scan_log

    root = Path(config.input.root)
    as_of = resolve_as_of(config.as_of)
    log, _ = scan_log(config.data_contract, root, as_of, config.window_days)
    if log is not None:
        yield from harmful_settings(
            log, with_pins(config.labelling, config.data_contract.roles.setup), config.splits
        )
