"""What a person at the terminal sees of a run."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from rich.console import Console as RichConsole
from rich.table import Table

from components.reporter.summary import Change, SummaryRow, summary_rows
from pipeline.terminal.tables import terminal


class Console:
    """Progress on standard output; everything else that libraries log in `run.log`."""

    def __init__(self, log: Path) -> None:
        self._rich = terminal(soft_wrap=True)
        self._log = log

    def heading(self, name: str, run_id: str, as_of: date, window_days: int) -> None:
        self._rich.print(
            f"[bold]hardtower[/] {name}, run {run_id}: {window_days} days before {as_of}"
        )

    def note(self, text: str) -> None:
        self._rich.print(f"  {text}", markup=False)

    def stage(self, name: str, number: int, of: int, seconds: float | None, reused: bool) -> None:
        place = f"[{number:>{len(str(of))}}/{of}]"
        if seconds is None:
            self._rich.print(f"{place} {name}", markup=False)
        else:
            how = "reused an earlier result" if reused else f"done in {seconds:.1f} s"
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
        """
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        records = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        verdict, version = manifest["verdict"], manifest["version"]
        self._rich.print(_table(summary_rows(records)))
        blessed = bool(verdict["blessed"])
        self._rich.print(
            "BLESSED" if blessed else "NOT BLESSED, nothing was pushed",
            style="bold green" if blessed else "bold yellow",
        )
        self._rich.print(f"  {verdict['summary']}", markup=False)
        self._rich.print(f"report         {folder / 'report.html'}", markup=False)
        if version is not None:
            model = out / "serving" / str(version)
            self._rich.print(f"model          {model}", markup=False)
            routing = model / "assets.extra" / "routing.parquet"
            self._rich.print(f"routing table  {routing}", markup=False)
        return blessed


class _Lines(logging.Handler):
    def __init__(self, rich: RichConsole) -> None:
        super().__init__()
        self._rich = rich

    def emit(self, record: logging.LogRecord) -> None:
        self._rich.print(f"      {record.getMessage()}", markup=False, style="dim")
        sys.stdout.flush()


def _table(rows: list[SummaryRow]) -> Table:
    table = Table(caption="Δ: against the one-task model", caption_justify="left")
    for name in ("task", "model"):
        table.add_column(name)
    for name in ("examples", "positives", "AUC", "RIG", "calibration", "ΔAUC", "ΔRIG"):
        table.add_column(name, justify="right")
    task = None
    for row in rows:
        if task not in (None, row.task):
            table.add_section()
        table.add_row(
            row.task if row.task != task else "",
            row.model,
            f"{row.examples:,}",
            f"{row.positives:,}",
            _number(row.auc),
            _number(row.rig),
            _number(row.calibration),
            _change(row.auc_change),
            _change(row.rig_change),
        )
        task = row.task
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _change(value: Change | None) -> str:
    return "" if value is None else f"{value.absolute:+.4f}"
