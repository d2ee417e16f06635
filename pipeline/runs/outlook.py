"""What a run is going to do, told before it does anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from common.as_of import resolve_as_of
from common.days import to_date, to_day
from common.pages.text import counted, duration
from components.example_gen.peek import Span, peek
from components.example_gen.readers.plain import open_source
from components.example_gen.readers.source import Window
from components.task_labeler.calendar import Period, evidence_from, split_periods
from pipeline.config import PipelineConfig
from pipeline.runs.record import records
from schemas.errors import InputError
from schemas.labelled import TRAIN

TYPICAL = "a million simulated clicks take about seven minutes on two cores"
"""By `pipeline/configs/simulator.yaml`."""


@dataclass(frozen=True)
class Outlook:
    """A run as it is understood.

    Attributes:
      span: the log, as far as its files tell.
      periods: split -> its days; of a log whose first day is not known, the train period begins
        with the window.
      blind: of a log without conversion times, the first day on which a label is known, and days
        from click to label.
      seconds: what each stage took when it last ran in this folder; None where no run is meant.
    """

    as_of: date
    window: Window
    span: Span
    periods: Mapping[str, Period]
    blind: tuple[date, int] | None
    seconds: Mapping[str, float] | None

    def lines(self) -> Iterator[tuple[str, str]]:
        """What it says, as (name, words)."""
        yield from log_lines(self.window, self.span)
        for name, period in self.periods.items():
            begins = name != TRAIN or self.span.first_day is not None
            words = str(period) if begins else f".. {str(period).split(' .. ')[1]}"
            length = counted(period.end - period.first, "day")
            yield name, f"{words} ({length})" if begins else words
        if self.blind is not None:
            first, days = self.blind
            yield (
                "labels",
                f"known from {first} on, {counted(days, 'day')} after the click: the log has no "
                "conversion times",
            )
        if self.seconds:
            yield "time", f"about {duration(sum(self.seconds.values()))}, as the last run here"
        elif self.seconds is not None:
            yield "time", f"not known before a first run here; {TYPICAL}"


def log_lines(window: Window, span: Span) -> Iterator[tuple[str, str]]:
    """What is known of a log before its calendar, as (name, words)."""
    days = window.days
    counts = [
        counted(number, what)
        for number, what in ((span.rows, "row"), (span.setups, "setup"), (span.files, "file"))
        if number is not None
    ]
    if span.first_day is not None and span.last_day is not None:
        n = (span.last_day - span.first_day).days + 1
        counts.insert(0, f"{span.first_day} .. {span.last_day} ({counted(n, 'day')})")
    yield "window", f"{days[0]} .. {days[-1]} ({counted(len(days), 'day')})"
    if counts:
        yield "log", ", ".join(counts)


def look_ahead(config: PipelineConfig, out: Path | None = None) -> Outlook:
    """Looks at the log's files and at the calendar, before anything slow starts.

    Args:
      out: output folder, whose earlier runs tell how long stages take.

    Raises:
      InputError: a file, a partition or a column is missing, or no day is left to train on.
    """
    contract, span = config.data_contract, Span()
    if contract.input.format != "bigquery":
        window = Window.before(resolve_as_of(config.as_of), config.window_days)
        root = Path(config.input.root)
        open_source(contract, root, window).shards()
        span = peek(contract, root, window)
    return outlook(config, span, stage_seconds(out, config.name) if out else None)


def outlook(
    config: PipelineConfig, span: Span, seconds: Mapping[str, float] | None = None
) -> Outlook:
    """What a run makes of a log's days.

    Raises:
      InputError: no day is left to train on.
    """
    contract, as_of = config.data_contract, resolve_as_of(config.as_of)
    window = Window.before(as_of, config.window_days)
    first = span.first_day or window.start
    try:
        periods = split_periods(
            to_day(first),
            as_of,
            contract.attribution_window_days,
            config.splits,
            contract.labels_ripen,
        )
    except InputError as error:
        if span.first_day is not None:
            raise
        raise InputError(
            f"{error} [the log may begin later than its window of "
            f"{counted(config.window_days, 'day')}]"
        ) from None
    known, days = evidence_from(to_day(first), contract), contract.attribution_window_days
    timed = contract.roles.conversion_timestamp is not None or not days
    blind = None if timed or span.first_day is None else (to_date(known), days)
    return Outlook(as_of, window, span, periods, blind, seconds)


def stage_seconds(out: Path, name: str) -> dict[str, float]:
    """What each stage of a pipeline took when it last did its work in an output folder."""
    mine = [r for r in records(out) if r.config == name and r.seconds]
    seconds: dict[str, float] = {}
    for record in sorted(mine, key=lambda r: r.started):
        seconds |= record.seconds
    return seconds
