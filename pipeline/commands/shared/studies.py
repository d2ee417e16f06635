"""What the commands of the stability lab share: the log and the output."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.as_of import resolve_as_of
from pipeline.commands.options.shared import at_day
from schemas.errors import InputError

if TYPE_CHECKING:
    from common.arrays import Bools
    from common.pages.page import Section, Table
    from labs.stability_lab.log.cells import LabLog, Progress
    from labs.stability_lab.log.judge import Judge
    from pipeline.commands.options.lab import StudyOptions
    from pipeline.config import PipelineConfig


@dataclass(frozen=True)
class Study:
    """A log read for a study.

    Attributes:
      scope: bool [n], cells after the warm-up.
      run_id: names the folder below `out`.
    """

    config: PipelineConfig
    log: LabLog
    judge: Judge
    first_day: int
    scope: Bools
    run_id: str
    out: Path

    @property
    def facts(self) -> dict[str, Any]:
        """What every study's JSON begins with."""
        from common.days import to_date

        return {
            "run_id": self.run_id,
            "contract": self.config.data_contract.name,
            "as_of": to_date(self.log.as_of).isoformat(),
            "first_day": to_date(self.log.first_day).isoformat(),
            "evaluated_from": to_date(self.first_day).isoformat(),
            "judge": self.judge.name,
            "clicks": int(self.log.cells.clicks.sum()),
            "setups": len(self.log.setups.ids),
            "bad_rows": self.log.bad_rows,
            "labelling": self.config.labelling.model_dump(mode="json"),
        }


def open_study(asked: StudyOptions, default_warmup: str = "splits") -> Study:
    """Reads the log of a config.

    Args:
      default_warmup: without --warmup, `splits` takes the config's warmup_days; `window` takes the
        labelling window, or a third of the log where that is shorter.

    Raises:
      InputError: the config, the log or the warm-up is wrong.
    """
    from common.runs.provenance import run_name
    from components.task_labeler.settings import as_labelled
    from labs.stability_lab.log.judge import choose_judge, first_evaluated
    from labs.stability_lab.log.read import read_log
    from pipeline.config import load_config

    config = load_config(asked.config_name, at_day(asked.overrides, asked.as_of))
    labelling = as_labelled(config.labelling, config.data_contract)
    config = config.model_copy(update={"labelling": labelling})
    day, root = resolve_as_of(config.as_of), Path(config.input.root)
    with bar("reading the log") as progress:
        log = read_log(
            config.data_contract,
            root,
            day,
            config.window_days,
            config.ingest.max_bad_row_share,
            progress,
        )
    warmup = asked.warmup
    if warmup is None:
        days = log.as_of - log.first_day
        shortest = min(config.labelling.window_days, days // 3)
        warmup = shortest if default_warmup == "window" else config.splits.warmup(days)
    first = first_evaluated(log, warmup)
    judge = choose_judge(log, root, asked.judge_name, config.labelling.window_days)
    return Study(config, log, judge, first, log.cells.day >= first, run_name(day), asked.out)


@contextmanager
def bar(title: str) -> Iterator[Progress]:
    """A progress bar on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def publish(
    study: Study,
    kind: str,
    title: str,
    cards: list[tuple[str, str]],
    sections: list[Section],
    results: dict[str, Any],
) -> None:
    """Prints the tables and writes OUT/<kind>/<run_id>/<kind>.json and .html."""
    import yaml

    from common.files.atomic import write_files
    from common.files.local import finite
    from common.pages.page import Page, render
    from pipeline.terminal.tables import terminal

    facts = study.facts
    meta = (
        f"{facts['run_id']} · contract {facts['contract']} · {facts['clicks']:,} clicks of "
        f"{facts['setups']:,} setups, {facts['first_day']} to {facts['as_of']}, evaluated from "
        f"{facts['evaluated_from']} · judged by {facts['judge']}"
    )
    settings = yaml.safe_dump({"labelling": facts["labelling"]}, sort_keys=False)
    page = render(Page(title, meta, cards, sections, settings))
    folder = study.out / kind / study.run_id
    try:
        text = json.dumps(finite({**facts, **results}), indent=1, allow_nan=False)
        write_files(folder, {f"{kind}.json": text + "\n", f"{kind}.html": page})
    except OSError as error:
        raise InputError(f"--out {study.out}: cannot write {folder}: {error.strerror}") from error
    console = terminal(width_of_files=200)
    console.print(meta, markup=False)
    for section in sections:
        for table in section.tables:
            if not table.folded:
                console.print(rich_table(table))
    console.print(f"page   {folder / f'{kind}.html'}", markup=False, soft_wrap=True)
    console.print(f"table  {folder / f'{kind}.json'}", markup=False, soft_wrap=True)


def rich_table(table: Table) -> Any:
    """The table for the terminal."""
    from rich.table import Table as RichTable

    made = RichTable(title=table.caption, title_justify="left")
    for name in table.head:
        numeric = name.startswith("#")
        made.add_column(name.removeprefix("#"), justify="right" if numeric else "left")
    for number, row in enumerate(table.texts()):
        made.add_row(*row, style="bold" if number in table.key_rows else None)
    return made
