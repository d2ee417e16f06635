"""What is told of a run, however it ended."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from components.run_verdict.page import render_verdict
from components.run_verdict.verdict import RunOutcome, judge_run

NOW = datetime(2026, 3, 2, 4, 5, 6, tzinfo=UTC)
BLESSED = {"verdict": {"blessed": True, "summary": "blessed: all 3 conditions hold"}}
REFUSED = {"verdict": {"blessed": False, "summary": "not blessed: rig on task=hard"}}


def serve(folder: Path, version: int, run_id: str) -> None:
    place = folder / "serving" / str(version)
    (place / "assets.extra").mkdir(parents=True)
    (place / "saved_model.pb").write_bytes(b"graph")
    (place / "assets.extra" / "manifest.json").write_text(json.dumps({"run_id": run_id}))


def judge(folder: Path, status: str = "", manifest: dict[str, Any] | None = None) -> RunOutcome:
    run = folder / "runs" / "r2"
    run.mkdir(parents=True)
    if manifest is not None:
        (run / "manifest.json").write_text(json.dumps(manifest))
    return judge_run("r2", status, run, str(folder / "serving"), NOW)


def test_a_run_that_pushed(tmp_path: Path) -> None:
    serve(tmp_path, 7, "r1")
    serve(tmp_path, 12, "r2")
    verdict = judge(tmp_path, '{"state": "SUCCEEDED"}', BLESSED)
    assert verdict == RunOutcome(
        run_id="r2",
        status="SUCCEEDED",
        error="",
        blessed=True,
        summary="blessed: all 3 conditions hold",
        pushed_version=12,
        serving_version=12,
        serving_run_id="r2",
        written="2026-03-02T04:05:06+00:00",
    )
    assert verdict.serving == "version 12 was pushed by this run"


def test_a_model_that_is_not_blessed_leaves_serving_untouched(tmp_path: Path) -> None:
    serve(tmp_path, 7, "r1")
    verdict = judge(tmp_path, '{"state": "SUCCEEDED"}', REFUSED)
    assert (verdict.blessed, verdict.pushed_version, verdict.serving_version) == (False, None, 7)
    assert verdict.serving == "left untouched at version 7, made by run r1"


def test_a_failure_before_anything_was_pushed(tmp_path: Path) -> None:
    status = {"state": "FAILED", "error": {"code": 9, "message": "task TaskLabeler <failed>"}}
    verdict = judge(tmp_path, json.dumps(status))
    assert (verdict.status, verdict.error) == ("FAILED", "task TaskLabeler <failed>")
    assert (verdict.blessed, verdict.serving_version) == (None, None)
    assert verdict.serving == "left untouched; nothing has been pushed yet"
    page = render_verdict(verdict)
    assert "task TaskLabeler &lt;failed&gt;" in page
    assert "Run failed, model not judged, serving left untouched" in page


def test_a_failure_after_the_push_says_what_serves(tmp_path: Path) -> None:
    serve(tmp_path, 12, "r2")
    verdict = judge(tmp_path, '{"state": "FAILED"}')
    assert (verdict.status, verdict.blessed, verdict.pushed_version) == ("FAILED", None, 12)


@pytest.mark.parametrize(("manifest", "status"), [(BLESSED, "SUCCEEDED"), (None, "FAILED")])
def test_without_a_word_the_last_steps_report_decides(
    tmp_path: Path, manifest: dict[str, Any] | None, status: str
) -> None:
    assert judge(tmp_path, "", manifest).status == status


@pytest.mark.parametrize("status", ["{{$.x}}", "[1]", "{}"])
def test_a_word_that_makes_no_sense_is_called_unknown(tmp_path: Path, status: str) -> None:
    assert judge(tmp_path, status, BLESSED).status == "UNKNOWN"
