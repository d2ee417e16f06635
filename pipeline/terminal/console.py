"""What a person at the terminal sees of a run."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from rich.console import Console as RichConsole
from rich.markup import escape
from rich.table import Table

from common.files.local import read_local_json
from common.pages.text import between, counted, decimal, duration, signed
from common.runs.files import EvaluationFile, RunFile
from common.versions.manifest import FitRecord
from common.versions.reference import ASSETS_EXTRA, ROUTING_FILE
from components.reporter.summary import MODELS, Bounded, SummaryRow, summary_rows
from pipeline.runs.progress import Stage
from pipeline.terminal.tables import terminal
from schemas.errors import InputError

PATIENCE = 10.0
"""Seconds from which on a stage says how far it is."""

REFRESH, LINE_EVERY = 1.0, 30.0
"""Seconds between two words on it, at a terminal and in a file."""


class Console:
    """Progress on standard output; everything else that libraries log in `run.log`."""

    def __init__(self, log: Path) -> None:
        self._rich = terminal(soft_wrap=True)
        self._log = log
        self._ticker = Ticker(self._rich, "", None)

    def heading(self, name: str, run_id: str, lines: Iterable[tuple[str, str]]) -> None:
        """What is going to be done, as it was understood."""
        self._rich.print(f"[bold]hardtower[/] {name}, run {run_id}")
        for what, words in lines:
            self._rich.print(f"  {what:<12}{words}", markup=False)

    def note(self, text: str) -> None:
        self._rich.print(f"  {text}", markup=False)

    def stage(self, stage: Stage, expected: float | None) -> None:
        """A stage begins, or has ended.

        Args:
          expected: seconds that it took the last time, if that is known.
        """
        self._ticker.stop()
        place = f"[{stage.number:>{len(str(stage.of))}}/{stage.of}]"
        if stage.seconds is None:
            self._rich.print(f"{place} {stage.name}", markup=False)
            self._ticker = Ticker(self._rich, stage.name, expected)
            self._ticker.start()
        else:
            how = "reused an earlier result" if stage.reused else f"done in {stage.seconds:.1f} s"
            self._rich.print(f"{' ' * len(place)} {how}", markup=False, style="dim")

    @contextmanager
    def captured_logs(self) -> Iterator[None]:
        """Sends the project's own log lines to the terminal and all lines to the log file."""
        root, own = logging.getLogger(), logging.getLogger("hardtower")
        file = logging.FileHandler(self._log, encoding="utf-8")
        file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        lines = _Lines(self._rich)
        before = root.handlers[:], root.level, own.level
        root.handlers = [file]
        root.setLevel(logging.INFO)
        own.setLevel(logging.INFO)
        own.addHandler(lines)
        logging.captureWarnings(True)
        # A full disk would have the log file's own errors printed between the lines.
        printed, logging.raiseExceptions = logging.raiseExceptions, False
        try:
            yield
        finally:
            self._ticker.stop()
            logging.raiseExceptions = printed
            logging.captureWarnings(False)
            own.removeHandler(lines)
            root.handlers, root.level = before[0], before[1]
            own.setLevel(before[2])
            file.close()

    def summary(self, out: Path, folder: Path) -> bool:
        """Prints the summary table, the verdict and where everything is.

        Args:
          out: the output folder.
          folder: the run's folder in it.

        Returns:
          Whether the candidate was blessed.

        Raises:
          InputError: a file of the run is damaged.
        """
        manifest = read_local_json(folder / RunFile.MANIFEST, {})
        records = read_local_json(folder / EvaluationFile.METRICS, [])
        comparisons = read_local_json(folder / EvaluationFile.COMPARISONS, [])
        try:
            verdict, version = manifest["verdict"], manifest["version"]
            # Manifests of earlier versions have no headline.
            blessed, told = bool(verdict["blessed"]), verdict.get("headline") or verdict["summary"]
            rows = summary_rows(records, comparisons)
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{folder}: {RunFile.MANIFEST}, {EvaluationFile.METRICS} or "
                f"{EvaluationFile.COMPARISONS}: {type(error).__name__} {error}; wanted the files "
                "as they were written"
            ) from error
        self._rich.print(_table(rows))
        outcome = "BLESSED" if blessed else "NOT BLESSED, nothing was pushed"
        if blessed and version is None:
            outcome = "BLESSED, nothing was pushed"
        good = blessed and version is not None
        self._rich.print(outcome, style="bold green" if good else "bold yellow")
        self._rich.print(f"  {told}", markup=False)
        for detail in verdict.get("details", ()):
            self._rich.print(f"  - {detail}", markup=False, style="dim")
        for line in fit_lines(manifest):
            self._rich.print(line, markup=False)
        self._rich.print(f"report         {folder / RunFile.REPORT}", markup=False)
        if version is not None:
            model = out / "serving" / str(version)
            self._rich.print(f"model          {model}", markup=False)
            routing = model / ASSETS_EXTRA / ROUTING_FILE
            self._rich.print(f"routing table  {routing}", markup=False)
        return blessed


class Ticker(threading.Thread):
    """Tells every few seconds how far a stage is, once it has taken `PATIENCE`.

    At a terminal one line is kept up to date; elsewhere lines would pile up, so that they come
    seldom.

    Args:
      expected: seconds that the stage took the last time, if that is known.
    """

    def __init__(self, rich: RichConsole, stage: str, expected: float | None) -> None:
        super().__init__(daemon=True, name=f"ticker of {stage}")
        self._rich, self._stage, self._expected = rich, stage, expected
        self._ended = threading.Event()

    def run(self) -> None:
        began = time.monotonic()
        every = REFRESH if self._rich.is_terminal else LINE_EVERY
        if self._ended.wait(PATIENCE):
            return
        with self._rich.status("") if self._rich.is_terminal else nullcontext() as status:
            while True:
                words = f"{self._stage}: {progress(time.monotonic() - began, self._expected)}"
                if status is None:
                    self._rich.print(f"      {words}", markup=False, style="dim")
                else:
                    status.update(escape(words))
                if self._ended.wait(every):
                    return

    def stop(self) -> None:
        """Ends the line, and waits for it to be gone."""
        self._ended.set()
        if self.is_alive():
            self.join()


def progress(seconds: float, expected: float | None) -> str:
    """How far a stage is: `34 s, 62%, about 21 s left`.

    Args:
      seconds: since it began.
      expected: what it took the last time, if that is known.
    """
    if expected is None:
        return duration(seconds)
    if seconds >= expected:
        return f"{duration(seconds)}, the last time it took {duration(expected)}"
    left = duration(expected - seconds)
    return f"{duration(seconds)}, {seconds / expected:.0%}, about {left} left"


def fit_lines(manifest: Mapping[str, Any]) -> list[str]:
    """What each fit has learned from, in words; nothing of manifests that name no fits.

    Args:
      manifest: contents of a run's `manifest.json`, of this version or an earlier one.
    """
    recorded = {name: manifest.get(f"{name}_fit") for name in ("judged", "served")}
    fits = {
        name: FitRecord.model_validate(fit) for name, fit in recorded.items() if fit is not None
    }
    return [
        f"{f'{name} fit':<13}  clicks up to {fit.newest_trained_day}, "
        f"{counted(fit.age(manifest['data']['as_of']), 'day')} before the as-of day"
        for name, fit in fits.items()
    ]


class _Lines(logging.Handler):
    def __init__(self, rich: RichConsole) -> None:
        super().__init__()
        self._rich = rich

    def emit(self, record: logging.LogRecord) -> None:
        self._rich.print(f"      {record.getMessage()}", markup=False, style="dim")
        sys.stdout.flush()


def _table(rows: list[SummaryRow]) -> Table:
    table = Table()
    for name in ("examples (conversions)", "model"):
        table.add_column(name)
    for name in ("RIG", "AUC", "log loss", "calibration", "RIG, first minus this"):
        table.add_column(name, justify="right")
    on = None
    for row in rows:
        if on not in (None, row.on):
            table.add_section()
        counts = f"{row.on} {row.examples:,} ({row.positives:,})"
        table.add_row(
            counts if row.on != on else "",
            MODELS[row.model],
            decimal(row.rig.value),
            decimal(row.auc.value),
            decimal(row.log_loss.value, 5),
            decimal(row.calibration.value, 3),
            _lead(row.lead),
        )
        on = row.on
    return table


def _lead(lead: Bounded | None) -> str:
    if lead is None:
        return ""
    return f"{signed(lead.value)}\n{between(lead.low, lead.high)}"
