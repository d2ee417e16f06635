"""The page of all runs, from folders as runs of every kind leave them."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from components.reporter.index import render_index, write_index

VERDICT = {"blessed": True, "headline": "blessed: all 15 conditions hold", "summary": "x"}


def manifest(as_of: str, rig: float, verdict: Any = VERDICT, **changes: Any) -> dict[str, Any]:
    data = {"as_of": as_of, "splits": {}}
    metrics = {"candidate": {"rig": rig, "calibration": 1.05}}
    created = f"{as_of}T03:00:00+00:00"
    found = {"data": data, "metrics": metrics, "verdict": verdict, "created": created}
    return found | {"version": 17} | changes


def figures(rig: float, age: int) -> dict[str, Any]:
    return {
        "hard_rig": {"value": rig, "low": rig - 0.01, "high": rig + 0.01},
        "hard_calibration": {"value": 1.1, "low": None, "high": None},
        "flips": 1234,
        "age_days": age,
    }


def add(out: Path, run_id: str, **files: Any) -> None:
    folder = out / "runs" / run_id
    folder.mkdir(parents=True)
    for name, contents in files.items():
        if name == "report":
            (folder / "report.html").write_text(contents)
        else:
            (folder / f"{name}.json").write_text(json.dumps(contents))


class Links(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if (tag, name) == ("a", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def out(tmp_path: Path) -> Path:
    add(
        tmp_path,
        "first",
        manifest=manifest("2026-01-01", 0.05),
        figures=figures(0.051, 79),
        report="<p>",
        run={"status": "succeeded", "started": "2026-01-01T02:00:00+00:00"},
    )
    add(
        tmp_path,
        "second",
        manifest=manifest("2026-01-02", 0.07, VERDICT | {"blessed": False}, version=None),
        figures=figures(0.071, 1),
        report="<p>",
        run={"status": "succeeded", "started": "2026-01-02T02:00:00+00:00"},
    )
    failed = {"status": "failed", "started": "2026-01-03T02:00:00+00:00", "stage": "Trainer"}
    add(tmp_path, "third", run=failed | {"error": "disk <full>", "as_of": "2026-01-03"})
    # An orchestrator's run of an earlier version, and a file that was cut off.
    add(tmp_path, "fourth", manifest=manifest("2025-12-31", 0.04), report="<p>")
    (tmp_path / "runs" / "fourth" / "run.json").write_text('{"status": "succ')
    page = tmp_path / "experiments" / "table3" / "2026" / "report.html"
    page.parent.mkdir(parents=True)
    page.write_text("<p>")
    return tmp_path


def test_newest_first_with_links(out: Path) -> None:
    page = Links(render_index(out))
    assert page.found == [
        *(f"runs/{name}/report.html" for name in ("second", "first", "fourth")),
        "experiments/table3/2026/report.html",
    ]
    for link in page.found:
        assert (out / link).is_file()
    table = page.text[page.text.index("4 runs, newest first") :]
    runs = [line for line in table.splitlines() if line in ("first", "second", "third", "fourth")]
    assert runs == ["third", "second", "first", "fourth"]


def test_each_run_says_how_it_ended(out: Path) -> None:
    text = " ".join(Links(render_index(out)).text.split())
    assert "failed Trainer" in text
    assert "disk <full>" in text
    assert "not blessed" in text
    assert "blessed version 17" in text
    assert "0.0510 [0.041, 0.061]" in text
    # What has no figures goes by its manifest.
    assert "0.0400" in text


def test_courses_go_by_the_day_and_end_with_the_newest(out: Path) -> None:
    page = render_index(out)
    assert "RIG on hard examples of 3 runs, from 0.0400 to 0.0710" in page
    assert "predicted over observed conversions of 3 runs, from 1.050 to 1.100" in page
    assert "days from the newest trained click to the as-of day of 2 runs, from 79 to 1" in page


def test_a_folder_without_runs_has_a_page(tmp_path: Path) -> None:
    write_index(tmp_path)
    assert "There are no runs yet." in (tmp_path / "index.html").read_text()


def test_names_are_text(tmp_path: Path) -> None:
    page = tmp_path / "experiments" / "a b" / "<i>" / "report.html"
    page.parent.mkdir(parents=True)
    page.write_text("<p>")
    found = render_index(tmp_path)
    assert Links(found).found == ["experiments/a%20b/%3Ci%3E/report.html"]
    assert "<i>" not in found
