"""A run on a disk that fills up, and the same command once there is room."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from small_log import Project

from pipeline.cli import main
from pipeline.runs.history import local_runs

MOUNTED = """
mount -t tmpfs -o size=9m none "$OUT" || exit 99
"$PYTHON" -m pipeline.cli run --config "$CONFIG" --out "$OUT" --run-id first 2> first.txt
echo "first $?"
mount -o remount,size=1g "$OUT"
"$PYTHON" -m pipeline.cli run --config "$CONFIG" --out "$OUT" --run-id second > second.txt 2>&1
echo "second $?"
"$PYTHON" -m pipeline.cli runs --out "$OUT"
"""


@pytest.mark.tfx
def test_a_disk_that_fills_up_is_one_line_and_the_next_run_goes_on(project: Project) -> None:
    project.out.mkdir()
    done = subprocess.run(
        ["unshare", "--mount", "bash", "-c", MOUNTED],
        cwd=project.folder,
        env=os.environ
        | {
            "OUT": str(project.out),
            "CONFIG": str(project.config),
            "PYTHON": sys.executable,
            "PYTHONPATH": str(Path(__file__).parents[3]),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 99 or "unshare" in done.stderr:
        pytest.skip(f"no file system of one's own here: {done.stderr.strip()}")
    assert "first 1\n" in done.stdout
    assert "second 0\n" in done.stdout, (project.folder / "second.txt").read_text()[-2000:]
    said = (project.folder / "first.txt").read_text()
    assert "Traceback" not in said
    assert said.splitlines()[-1].startswith("Error: ")
    assert "No space left on device" in said.splitlines()[-1]
    states = {line.split()[0]: line.split()[1] for line in done.stdout.splitlines()[-2:]}
    # Not even the record's last word had room.
    assert states.pop("first") in ("failed", "killed")
    assert states == {"second": "succeeded"}


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device", "/out/artifacts/x"),
        RuntimeError("OSError: [Errno 28] No space left on device [while running 'IngestShard']"),
        MemoryError("Unable to allocate 9 GiB"),
    ],
)
def test_what_ends_a_run_is_one_line_and_all_of_it_is_in_its_log(
    project: Project, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def execute(*arguments: object) -> None:
        raise error

    monkeypatch.setattr("pipeline.runs.local_run._execute", execute)
    arguments = ["run", "--config", str(project.config), "--out", str(project.out)]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 1
    assert "Traceback" not in done.output
    assert done.output.splitlines()[-1].startswith("Error: run ")
    assert str(error) in done.output.splitlines()[-1]
    [folder] = project.runs()
    assert str(folder / "run.log") in done.output
    assert "Traceback" in (folder / "run.log").read_text()
    [line] = local_runs(project.out)
    assert line.state == "failed"
    assert str(error) in line.reason
