"""`index.html` of an output folder: all its runs and studies, and how the figures went."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from common.files.atomic import write_files
from common.files.local import read_local_json
from common.pages.page import Cell, Table, environment
from common.pages.svg import sparkline
from common.pages.text import between, count, counted, decimal
from common.runs.files import RunFile
from components.reporter.sections import Card

INDEX_FILE = "index.html"
"""In a run's folder, its `sections.KeyFigures`."""

TEMPLATE = "index.html.j2"
STUDIES: Mapping[str, str] = {
    "experiments/*/*/report.html": "experiment",
    "stability/*/stability.html": "stability",
    "alpha/*/alpha.html": "alpha",
    "cold-start/*/cold-start.html": "cold start",
    "ab_report.html": "A/B report",
}
"""Pages of the labs below an output folder -> what they are."""

TRENDS = (
    ("hard_rig", "RIG on hard examples", decimal),
    ("hard_calibration", "predicted over observed conversions", lambda v: decimal(v, 3)),
    ("flips", "changes of side", count),
    ("age_days", "days from the newest trained click to the as-of day", count),
)


@dataclass(frozen=True)
class Run:
    """A run as the index shows it.

    Attributes:
      record: `run.json`; empty for an orchestrator's run.
      manifest: empty for a run that did not get that far.
      figures: `figures.json`; empty likewise.
      has_report: whether there is a page to go to.
    """

    run_id: str
    record: Mapping[str, Any]
    manifest: Mapping[str, Any]
    figures: Mapping[str, Any]
    has_report: bool

    @property
    def began(self) -> str:
        return str(self.record.get("started") or self.manifest.get("created", ""))

    @property
    def as_of(self) -> str:
        known = self.manifest.get("data", {}).get("as_of")
        return str(known or self.record.get("as_of", ""))

    def value(self, name: str) -> float | None:
        """A key figure; of a run without any, hard RIG and level by its manifest."""
        figure = self.figures.get(name)
        if isinstance(figure, Mapping):
            figure = figure["value"]
        if figure is None:
            metric = name.removeprefix("hard_")
            figure = self.manifest.get("metrics", {}).get("candidate", {}).get(metric)
        return None if figure is None else float(figure)


def write_index(out: Path) -> None:
    """Writes `index.html` into an output folder from what is there now."""
    write_files(out, {INDEX_FILE: render_index(out)})


def render_index(out: Path) -> str:
    """The page; links are relative to the folder."""
    folders = filter(Path.is_dir, out.glob("runs/*"))
    runs = sorted(map(_read, folders), key=lambda run: (run.began, run.run_id), reverse=True)
    by_day = sorted(
        (run for run in runs if run.figures or run.manifest), key=lambda run: (run.as_of, run.began)
    )
    return (
        environment("components.reporter")
        .get_template(TEMPLATE)
        .render(
            folder=out.name,
            runs=_runs(runs),
            studies=_studies(out),
            trends=list(_trends(by_day)),
        )
    )


def _read(folder: Path) -> Run:
    def found(name: str) -> Mapping[str, Any]:
        try:
            contents = read_local_json(folder / name, {})
        except ValueError:
            return {}
        return contents if isinstance(contents, Mapping) else {}

    return Run(
        folder.name,
        *(found(RunFile.RECORD), found(RunFile.MANIFEST), found(RunFile.FIGURES)),
        (folder / RunFile.REPORT).is_file(),
    )


def _runs(runs: Sequence[Run]) -> Table:
    head = ["Run", "#As of", "Outcome", "#Hard RIG", "#Level", "#Flips", "#Age, days", "Verdict"]
    return Table(
        f"{counted(len(runs), 'run')}, newest first",
        head,
        [
            [
                Cell(run.run_id, href=_link("runs", run.run_id, RunFile.REPORT))
                if run.has_report
                else run.run_id,
                run.as_of,
                _outcome(run),
                Cell(decimal(run.value("hard_rig")), _interval(run, "hard_rig", 3)),
                Cell(decimal(run.value("hard_calibration"), 3)),
                count(run.value("flips")),
                count(run.value("age_days")),
                _words(run),
            ]
            for run in runs
        ],
    )


def _outcome(run: Run) -> Cell:
    verdict = run.manifest.get("verdict") or {}
    status = str(run.record.get("status") or "succeeded")
    if not verdict or status in ("failed", "stopped", "killed"):
        tone = "bad" if status in ("failed", "killed") else "open"
        return Cell(status, note=str(run.record.get("stage") or ""), tone=tone)
    version = run.manifest.get("version")
    note = "" if version is None else f"version {version}"
    return (
        Cell("blessed", note, "good") if verdict.get("blessed") else Cell("not blessed", "", "warn")
    )


def _words(run: Run) -> str:
    verdict = run.manifest.get("verdict") or {}
    return str(run.record.get("error") or verdict.get("headline") or verdict.get("summary") or "")


def _interval(run: Run, name: str, places: int) -> str:
    figure = run.figures.get(name) or {}
    return between(figure.get("low"), figure.get("high"), lambda v: decimal(v, places))


def _trends(runs: Sequence[Run]) -> Iterable[tuple[Card, Markup]]:
    """The last value of each figure over its course by as-of day."""
    for name, what, show in TRENDS:
        values = [run.value(name) for run in runs]
        known = [value for value in values if value is not None]
        if known:
            ends = f"from {show(known[0])} to {show(known[-1])}"
            label = f"{what} of {counted(len(known), 'run')}, {ends}"
            yield Card(show(known[-1]), what), Markup(sparkline(label, values))


def _studies(out: Path) -> Table:
    pages = [(path, kind) for pattern, kind in STUDIES.items() for path in out.glob(pattern)]
    rows: list[list[str | Cell]] = []
    for path, kind in sorted(pages, key=lambda item: item[0].stat().st_mtime, reverse=True):
        place = path.relative_to(out)
        rows.append([Cell(str(place.parent) or kind, href=_link(*place.parts)), kind])
    return Table("Studies, newest first", ["Page", "What"], rows)


def _link(*parts: str) -> str:
    return "/".join(quote(part) for part in parts)
