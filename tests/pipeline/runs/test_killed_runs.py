"""Runs killed while the served fit is made and pushed: serving stays, the next attempt ends it."""

from __future__ import annotations

import os
import shutil
import signal
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from small_log import CONFIG, PATIENCE, FinishedRun, Project, contents

pytestmark = pytest.mark.tfx

ANOTHER = ("--set", "training.seed=78")


@pytest.fixture(scope="module")
def served(first_run: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of a project that serves a model."""
    mine = Project(tmp_path_factory.mktemp("killed"))
    shutil.copytree(first_run.project.folder, mine.folder, symlinks=True, dirs_exist_ok=True)
    mine.write()
    return mine


def kill_at(project: Project, stage: str) -> None:
    process = project.begins(*ANOTHER)
    record = project.waits_for(stage, process)
    os.kill(record.pid, signal.SIGKILL)
    assert process.wait(PATIENCE) == -signal.SIGKILL


def reused(output: str) -> set[str]:
    lines = [line.strip() for line in output.splitlines()]
    return {
        line.split()[-1]
        for line, following in pairwise(lines)
        if line.startswith("[") and "reused" in following
    }


def test_a_served_fit_that_is_killed_is_made_by_the_next_run(served: Project) -> None:
    """First while the served fit is trained, then while it is pushed. What the attempts before
    have finished is not made again."""
    before = contents(served.out / "serving")
    kill_at(served, "ServedTrainer")
    assert contents(served.out / "serving") == before
    kill_at(served, "HardTowerPusher")
    judged = {"Transform", "Trainer", "OneTaskTrainer", "HardTowerEvaluator"}
    assert judged <= reused((served.folder / "run.log").read_text())
    kept = {path.name for path in Path(served.out / "serving").iterdir()}
    assert {name.split("/")[0] for name in before} <= kept

    done = served.run("--run-id", "whole", *ANOTHER)
    assert done.returncode == 0, done.stdout + done.stderr
    both = judged | {"ServedTransform", "ServedTrainer", "ServedOneTaskTrainer"}
    assert both <= reused(done.stdout)
    manifest = served.json(served.out / "runs" / "whole", "manifest.json")
    assert (served.out / "serving" / str(manifest["version"]) / "saved_model.pb").is_file()
    yesterday = date.fromisoformat(CONFIG["as_of"]) - timedelta(days=1)
    assert manifest["served_fit"]["newest_trained_day"] == yesterday.isoformat()
    assert not list((served.out / "artifacts" / "checkpoints").iterdir())
