"""Records and locks of local runs, with processes that are really killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from small_log import Project

from pipeline.runs.history import local_runs
from pipeline.runs.lock import hold_output, running_in
from pipeline.runs.progress import Stage, recorded
from pipeline.runs.record import RunRecord, Trigger, read_record, records, write_record
from pipeline.scheduling.clock import WallClock
from pipeline.scheduling.local import StopSignals
from pipeline.scheduling.process import RunProcess, only_one
from schemas.errors import InputError


def record_of(run_id: str, **changes: Any) -> RunRecord:
    plain = {"run_id": run_id, "status": "running", "as_of": "2026-03-01", "started": "2026-03-01"}
    return RunRecord.model_validate(plain | changes)


def last(out: Path, run_id: str) -> RunRecord:
    found = read_record(out / "runs" / run_id)
    assert found is not None
    return found


def test_a_run_is_recorded_as_it_goes(tmp_path: Path) -> None:
    with recorded(tmp_path, record_of("a")) as progress:
        assert last(tmp_path, "a").status == "running"
        progress.stage(Stage("Trainer", 9, 13))
        assert last(tmp_path, "a").stage == "Trainer"
        progress.stage(Stage("Trainer", 9, 13, seconds=12.34))
        progress.stage(Stage("HardTowerEvaluator", 10, 13))
        progress.stage(Stage("HardTowerEvaluator", 10, 13, seconds=0.1, reused=True))
        assert last(tmp_path, "a").seconds == {"Trainer": 12.3}
        progress.judged({"blessed": False, "summary": "rig fell"}, None)
    done = last(tmp_path, "a")
    assert (done.status, done.blessed, done.summary, done.version) == (
        "succeeded",
        False,
        "rig fell",
        None,
    )


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (InputError("data gate: x\n  differs"), "failed", "data gate: x differs"),
        (RuntimeError("y" * 900), "failed", "RuntimeError: yyy"),
        (KeyboardInterrupt(), "stopped", "stopped by SIGINT"),
        (SystemExit(1), "failed", "SystemExit: 1"),
    ],
)
def test_what_ends_a_run_is_recorded_and_raised(
    tmp_path: Path, error: BaseException, status: str, text: str
) -> None:
    def run() -> None:
        with recorded(tmp_path, record_of("a")) as progress:
            progress.stage(Stage("Transform", 1, 2))
            raise error

    with pytest.raises(type(error)):
        run()
    done = last(tmp_path, "a")
    assert (done.status, done.stage) == (status, "Transform")
    assert (done.error or "").startswith(text)
    assert len(done.error or "") <= 500


RUN = """
import sys, time
from pathlib import Path
from pipeline.runs.lock import hold_output
from pipeline.runs.progress import Stage, recorded
from pipeline.runs.record import RunRecord
out = Path(sys.argv[1])
record = RunRecord(run_id="child", status="running", as_of="2026-03-01", started="2026-03-01")
with hold_output(out, "child"), recorded(out, record) as progress:
    progress.stage(Stage("Trainer", 1, 2))
    print("on", flush=True)
    time.sleep(600)
"""


@contextmanager
def process(*arguments: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A Python process that has printed its first line."""
    started = subprocess.Popen(
        [sys.executable, "-c", *arguments], stdout=subprocess.PIPE, text=True, **options
    )
    assert started.stdout is not None
    try:
        assert started.stdout.readline().strip() == "on"
        yield started
    finally:
        started.kill()
        started.wait()
        started.stdout.close()


def test_sigterm_is_recorded(tmp_path: Path) -> None:
    with process(RUN, str(tmp_path)) as run:
        run.send_signal(signal.SIGTERM)
        assert run.wait(60) == 143
    done = last(tmp_path, "child")
    assert (done.status, done.stage, done.error) == ("stopped", "Trainer", "stopped by SIGTERM")


def test_a_folder_takes_one_run_at_a_time(tmp_path: Path) -> None:
    with process(RUN, str(tmp_path)) as run:
        assert running_in(tmp_path) == "child"
        [line] = local_runs(tmp_path)
        assert line.state == "running"
        with (
            pytest.raises(InputError, match=rf"run child, process {run.pid} is going on there"),
            hold_output(tmp_path, "mine"),
        ):
            pass
        assert running_in(tmp_path) == "child"

        waited: list[str] = []
        timer = threading.Timer(0.3, run.kill)
        timer.start()
        with hold_output(tmp_path, "mine", wait=True, on_wait=waited.append):
            timer.join()
            assert waited == [f"run child, process {run.pid}"]
            assert running_in(tmp_path) == "mine"
            # Whoever comes next writes down that the one before was killed.
            done = last(tmp_path, "child")
            assert (done.status, done.stage) == ("killed", "Trainer")
    assert running_in(tmp_path) is None


def test_a_killed_run_is_listed_as_such_before_anybody_comes_next(tmp_path: Path) -> None:
    with process(RUN, str(tmp_path)) as run:
        run.kill()
        run.wait()
    [line] = local_runs(tmp_path)
    assert (line.state, line.stage) == ("killed", "Trainer")
    assert last(tmp_path, "child").status == "running"


def test_runs_without_a_record_are_told_by_what_they_wrote(tmp_path: Path) -> None:
    old, kubeflow, broken = (tmp_path / "runs" / name for name in ("old", "kubeflow", "broken"))
    for folder in (old, kubeflow, broken):
        folder.mkdir(parents=True)
    verdict = {"blessed": False, "summary": "rig fell", "baseline": None}
    manifest = {"verdict": verdict, "version": None, "data": {"as_of": "2026-02-01"}}
    (old / "manifest.json").write_text(json.dumps(manifest | {"created": "2026-02-02"}))
    ending = {"status": "FAILED", "error": "out of memory", "written": "2026-02-03"}
    (kubeflow / "verdict.json").write_text(json.dumps(ending))
    (broken / "run.json").write_text("{")
    found = {line.run_id: line for line in local_runs(tmp_path)}
    assert (found["old"].state, found["old"].verdict) == ("succeeded", "not blessed")
    assert (found["old"].as_of, found["old"].reason) == ("2026-02-01", "rig fell")
    assert (found["kubeflow"].state, found["kubeflow"].reason) == ("failed", "out of memory")
    assert found["broken"].state == ""


@pytest.mark.parametrize(
    ("content", "message"),
    [("[1]", "holds a list; wanted a dict"), ('{"data": 3}', "data: Input should be a valid dict")],
)
def test_a_manifest_of_other_things_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "runs" / "odd").mkdir(parents=True)
    (tmp_path / "runs" / "odd" / "manifest.json").write_text(content)
    with pytest.raises(InputError, match=rf"odd/manifest\.json: {message}"):
        local_runs(tmp_path)


SCHEDULER = """
import subprocess, sys, time
from pathlib import Path
from pipeline.scheduling.clock import WallClock
from pipeline.scheduling.process import only_one
with only_one(Path(sys.argv[1]), "schedule", WallClock()) as lock:
    orphan = [sys.executable, "-c", "import time; print('on', flush=True); time.sleep(600)"]
    child = subprocess.Popen(orphan, pass_fds=(lock,), start_new_session=True)
    Path(sys.argv[1], "child").write_text(str(child.pid))
    child.wait()
"""


def test_a_run_that_outlives_its_scheduler_is_waited_for(tmp_path: Path) -> None:
    with process(SCHEDULER, str(tmp_path)) as scheduler:
        with (
            pytest.raises(InputError, match="another schedule is at work"),
            only_one(tmp_path, "schedule", WallClock()),
        ):
            pass
        orphan = int((tmp_path / "child").read_text())
        scheduler.kill()
        scheduler.wait()
        os.kill(orphan, 0)

        class Impatient(WallClock):
            """Ends the orphan at the first look."""

            waits = 0

            def wait(self, seconds: float) -> bool:
                if self.waits == 0:
                    os.kill(orphan, signal.SIGKILL)
                self.waits += 1
                return super().wait(0.05)

        clock = Impatient()
        with only_one(tmp_path, "schedule", clock):
            assert clock.waits >= 1


def queued(project: Project) -> RunRecord:
    trigger = Trigger(kind="schedule", tick="t", attempt=1)
    record = record_of("q", status="queued", as_of="2024-02-20", trigger=trigger)
    write_record(project.out, record)
    return record


def test_a_run_that_takes_too_long_is_ended(project: Project) -> None:
    """It waits for a folder that it never gets."""
    record = queued(project)
    with (
        only_one(project.out, "schedule", WallClock()) as lock,
        hold_output(project.out, "other"),
    ):
        run = RunProcess(project.out, ["--config", str(project.config)], lock, timeout=2)
        ending = run(record)
    assert (ending.overdue, ending.text) == (
        True,
        "ended after 2 s, the longest that a run may take",
    )
    assert [r.status for r in records(project.out)] == ["queued"]


def test_the_first_signal_stops_after_the_run_and_the_second_at_once() -> None:
    clock = WallClock()
    with StopSignals(clock).installed() as signals:
        assert (clock.stopping(), signals.at_once()) == (False, False)
        os.kill(os.getpid(), signal.SIGTERM)
        assert (clock.stopping(), signals.at_once()) == (True, False)
        os.kill(os.getpid(), signal.SIGINT)
        assert (clock.stopping(), signals.at_once()) == (True, True)
    assert clock.wait(60)


def test_a_run_is_cut_off_when_asked(tmp_path: Path, project: Project) -> None:
    record = queued(project)
    arguments = ["--config", str(project.config)]
    with (
        only_one(project.out, "schedule", WallClock()) as lock,
        hold_output(project.out, "other"),
    ):
        ending = RunProcess(project.out, arguments, lock, cut_off=lambda: True)(record)
    assert (ending.overdue, "SIGTERM" in ending.text) == (False, True)


def test_a_run_that_cannot_begin_says_why(project: Project) -> None:
    record = queued(project)
    with only_one(project.out, "schedule", WallClock()) as lock:
        ending = RunProcess(project.out, ["--config", "nowhere.yaml"], lock)(record)
    assert not ending.overdue
    assert ending.text.startswith("ended with code 2: Error: config: no file 'nowhere.yaml'")


def test_a_name_is_given_once(project: Project) -> None:
    write_record(project.out, record_of("taken", status="succeeded"))
    done = project.run("--run-id", "taken")
    assert done.returncode == 2
    assert "there is a run of this name already" in done.stderr
    assert project.run("--run-id", "../x").returncode == 2
