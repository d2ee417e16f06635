"""Scheduled retraining of a small project, with real processes: what fails leaves serving alone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from typing import Any

import pytest
from small_log import CONFIG, PATIENCE, FinishedRun, Project, contents

from pipeline.runs.history import local_runs
from pipeline.runs.record import read_record

pytestmark = pytest.mark.tfx


@pytest.fixture(scope="module")
def served(first_run: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of a project that serves a model."""
    mine = Project(tmp_path_factory.mktemp("scheduled"))
    shutil.copytree(first_run.project.folder, mine.folder, symlinks=True, dirs_exist_ok=True)
    mine.write()
    return mine


def listed(project: Project) -> list[dict[str, Any]]:
    done = project.hardtower("runs", "--out", str(project.out), "--output", "json")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_a_finished_run_has_a_record(first_run: FinishedRun) -> None:
    record = read_record(first_run.folder)
    assert record is not None
    assert (record.status, record.blessed, record.error) == ("succeeded", True, None)
    manifest = first_run.project.json(first_run.folder, "manifest.json")
    assert (record.version, record.as_of) == (manifest["version"], CONFIG["as_of"])
    assert record.finished is not None
    assert record.finished >= record.started


def test_a_scheduled_run_that_is_killed_leaves_serving_alone(served: Project) -> None:
    """The tick is of the log's last day, so that all stages before training are reused."""
    day = CONFIG["as_of"]
    before = contents(served.out / "serving")
    state = {"handled": f"{day}T00:00:00+00:00", "cron": ""}
    (served.out / "schedule.json").write_text(json.dumps(state))
    common = ["--config", str(served.config), "--out", str(served.out)]
    schedule = ["schedule", "--local", "--once", "--cron", "0 3 20 2 *", *common]

    program = [sys.executable, "-m", "pipeline.cli", *schedule, "--retries", "0"]
    log = served.folder / "scheduler.log"
    with log.open("wb") as file:
        scheduler = subprocess.Popen(
            [*program, "--set", "training.seed=77", "--catchup"],
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=served.folder,
        )
        training = served.waits_for("Trainer", scheduler)
        # Nobody else may run into the folder meanwhile.
        busy = served.run()
        os.kill(training.pid, signal.SIGKILL)
        scheduler.send_signal(signal.SIGTERM)
        assert scheduler.wait(PATIENCE) == 1, log.read_text()
    assert busy.returncode == 2
    assert f"run {training.run_id}, process {training.pid} is going on there" in busy.stderr

    assert contents(served.out / "serving") == before
    killed = next(line for line in listed(served) if line["run_id"] == training.run_id)
    assert (killed["state"], killed["stage"], killed["as_of"]) == ("failed", "Trainer", day)
    assert killed["reason"].startswith("killed by SIGKILL")
    assert killed["trigger"] == f"schedule {day}T03:00:00+00:00"
    assert not (served.out / "runs" / training.run_id / "manifest.json").exists()
    shown = served.hardtower("runs", "--out", str(served.out)).stdout
    assert f"{training.run_id}  failed" in shown

    [result] = json.loads((served.out / "schedule.json").read_text())["results"]
    assert (result["tick"], result["outcome"]) == (f"{day}T03:00:00+00:00", "failed")


def test_bad_input_is_recorded_too(served: Project) -> None:
    done = served.hardtower(
        *("backfill", "--local", "--from", "2023-01-01", "--to", "2023-01-01"),
        *("--config", str(served.config), "--out", str(served.out)),
    )
    assert done.returncode == 1
    assert "1 of 1 days without a finished run" in done.stderr
    [line] = [line for line in local_runs(served.out) if line.as_of == "2023-01-01"]
    assert line.state == "failed"
    assert "ended with code 2: Error:" in line.reason
