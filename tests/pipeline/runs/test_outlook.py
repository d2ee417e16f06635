"""What a run says before it begins, and the calendars that it refuses."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from small_log import CONFIG, CONTRACT, DAYS, FIRST, Project

from common.as_of import resolve_as_of
from labs.stability_lab.log.read import scan_log
from pipeline.config import PipelineConfig, load_config
from pipeline.runs.harm import harm_of_labels
from pipeline.runs.outlook import look_ahead, stage_seconds
from pipeline.runs.record import RunRecord, write_record
from schemas.errors import InputError


def config(project: Project, *overrides: str) -> PipelineConfig:
    return load_config(str(project.config), overrides)


def record(out: Path, run_id: str, started: str, **changes: Any) -> None:
    found = {"run_id": run_id, "status": "succeeded", "as_of": "2026-01-01", "config": "small"}
    write_record(out, RunRecord.model_validate(found | {"started": started} | changes))


def test_the_log_and_the_splits_are_told(project: Project, tmp_path: Path) -> None:
    record(tmp_path, "a", "2026-01-01", seconds={"Trainer": 60.0, "TaskLabeler": 30.0})
    lines = dict(look_ahead(config(project), tmp_path).lines())
    as_of = FIRST + timedelta(days=DAYS)
    assert lines["window"] == f"{FIRST} .. {as_of - timedelta(days=1)} ({DAYS} days)"
    assert lines["log"] == (
        f"{FIRST} .. {as_of - timedelta(days=1)} ({DAYS} days), 60,000 rows, 32 setups, 50 files"
    )
    # Twelve days of eval end where labels are mature, five days before the as-of day.
    first = as_of - timedelta(days=5 + CONFIG["splits"]["eval_days"])
    assert lines["eval"] == f"{first} .. {as_of - timedelta(days=6)} (12 days)"
    assert lines["train"].startswith(f"{FIRST + timedelta(days=3)} .. ")
    assert lines["time"] == "about 90 s, as the last run here"


def test_without_conversion_times_labels_must_be_final(project: Project, tmp_path: Path) -> None:
    roles = {k: v for k, v in CONTRACT["roles"].items() if k != "conversion_timestamp"}
    project.write(contract=CONTRACT | {"roles": roles})
    lines = dict(look_ahead(config(project), tmp_path).lines())
    assert "recent" not in lines
    assert lines["labels"].startswith(f"known from {FIRST + timedelta(days=6)} on")
    as_of = FIRST + timedelta(days=DAYS)
    eval_first = as_of - timedelta(days=5 + CONFIG["splits"]["eval_days"])
    # The attribution window of five days lies between calibration and eval.
    assert f".. {eval_first - timedelta(days=6)} (" in lines["calibration"]


def test_without_earlier_runs_no_time_is_known(project: Project, tmp_path: Path) -> None:
    lines = dict(look_ahead(config(project), tmp_path).lines())
    assert lines["time"].startswith("not known before a first run here")
    assert "time" not in dict(look_ahead(config(project)).lines())


def test_the_newest_time_of_each_stage_counts(tmp_path: Path) -> None:
    record(tmp_path, "b", "2026-01-02", seconds={"Trainer": 5.0})
    record(tmp_path, "a", "2026-01-01", seconds={"Trainer": 9.0, "Transform": 2.0})
    record(tmp_path, "c", "2026-01-03", config="another", seconds={"Trainer": 77.0})
    record(tmp_path, "d", "2026-01-04")
    assert stage_seconds(tmp_path, "small") == {"Trainer": 5.0, "Transform": 2.0}


def test_a_log_that_is_too_short_is_refused_before_anything_runs(project: Project) -> None:
    short = config(project, "splits.eval_days=40")
    with pytest.raises(InputError, match=rf"no day is left to train on: the log begins on {FIRST}"):
        look_ahead(short)


def test_a_window_that_is_too_short_is_refused_whatever_the_log(project: Project) -> None:
    """A text file does not tell its days: the window alone is too short for the periods."""
    project.write(contract=CONTRACT | {"input": {"format": "csv", "pattern": "log.csv"}})
    names = "click_time,conversion_time,converted,campaign,goal,vertical,device,user,recency,intent"
    (project.folder / "log.csv").write_text(f"{names}\n")
    lines = dict(look_ahead(config(project)).lines())
    assert lines["log"] == "1 file"
    assert lines["train"].startswith(".. ")
    assert date.fromisoformat(lines["eval"][:10]) > FIRST
    with pytest.raises(InputError, match=r"no day is left.*may begin later than its window of 14"):
        look_ahead(config(project, "window_days=14"))


def counted(project: Project, folder: Path) -> Path:
    """The file of a TaskAssignments that harm is looked for in."""
    own = config(project)
    as_of = resolve_as_of(own.as_of)
    log, _ = scan_log(own.data_contract, Path(own.input.root), as_of, own.window_days)
    assert log is not None
    pq.write_table(log.counts, folder / "counts.parquet")
    return folder


def test_a_setting_that_does_harm_is_told_before_training(project: Project, tmp_path: Path) -> None:
    """At an alpha that cuts through the rare goal's CVRs, and by the last week alone, the delay
    correction costs flips and gains nothing; with the project's own settings nothing does harm."""
    assignments = counted(project, tmp_path)
    assert list(harm_of_labels(config(project), assignments)) == []
    restless = ("labelling.alpha=0.03", "labelling.half_life_days=7")
    other = config(project, *restless)
    (told,) = harm_of_labels(other, assignments)
    assert told.startswith("labelling.delay does harm on this log: without it ")
    naive = config(project, *restless, "labelling.delay=naive")
    assert list(harm_of_labels(naive, assignments)) == []


def test_a_log_that_takes_long_to_replay_is_left_alone(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = config(project, "labelling.alpha=0.03", "labelling.half_life_days=7")
    monkeypatch.setattr("pipeline.runs.harm.MOST_COUNTS", 100)
    assert list(harm_of_labels(other, counted(project, tmp_path))) == []
