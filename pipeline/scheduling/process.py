"""A run as a process of its own: its memory is freed when it ends, and its crash is its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.runs.lock import try_lock
from pipeline.runs.record import RunRecord, TriggerKind, one_line
from pipeline.scheduling.attempts import Ending
from pipeline.scheduling.clock import Clock
from schemas.errors import InputError

OUTPUT_FILE = "output.log"
"""What the run's process printed, in the run's folder."""
POLL = 0.5
PATIENCE = 30.0
"""Seconds: between looks at a process, and from SIGTERM to SIGKILL."""


@contextmanager
def only_one(out: Path, kind: TriggerKind, clock: Clock) -> Iterator[int]:
    """Keeps other schedulers of a kind out of the folder, and waits for runs that a dead one left.

    Gives the descriptor of a lock that the runs' processes inherit: it is free when all of them are
    gone, so that a run that outlives its scheduler is never started a second time beside it. A
    clock that is asked to stop ends the waiting.

    Raises:
      InputError: another one is at work there.
    """
    out.mkdir(parents=True, exist_ok=True)
    own, runs = (
        os.open(out / f".{kind}{part}.lock", os.O_RDWR | os.O_CREAT, 0o644)
        for part in ("", ".runs")
    )
    try:
        if not try_lock(own):
            raise InputError(f"{out}: another {kind} is at work there; wanted one at a time")
        while not try_lock(runs) and not clock.wait(POLL):
            pass
        yield runs
    finally:
        os.close(own)
        os.close(runs)


@dataclass(frozen=True)
class RunProcess:
    """Starts `hardtower run` for a record and waits for it.

    Attributes:
      arguments: `--config` and `--set` options of the run.
      lock: descriptor that the process inherits.
      cut_off: asked now and then; true ends the run at once.
      timeout: seconds after which a run is ended; None for never.
    """

    out: Path
    arguments: Sequence[str]
    lock: int
    cut_off: Callable[[], bool] = lambda: False
    timeout: float | None = None

    def __call__(self, record: RunRecord) -> Ending:
        """Tells how the process ended, with the last line that it printed."""
        command = [
            *(sys.executable, "-m", "pipeline.cli", "run", "--queue"),
            *("--out", str(self.out), "--run-id", record.run_id, "--as-of", record.as_of),
            *self.arguments,
        ]
        output = self.out / "runs" / record.run_id / OUTPUT_FILE
        with output.open("wb") as file:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                pass_fds=(self.lock,),
                # Ctrl-C at the terminal is for the scheduler, which decides what it means.
                start_new_session=True,
            )
        if self._wait(process):
            text = f"ended after {self.timeout:g} s, the longest that a run may take"
            return Ending(text, overdue=True)
        return Ending(_told(process.returncode, output))

    def _wait(self, process: subprocess.Popen[bytes]) -> bool:
        """Waits for the end, or brings it about; returns whether the time was up."""
        left = self.timeout
        while True:
            try:
                process.wait(POLL if left is None else min(POLL, max(left, 0)))
                return False
            except subprocess.TimeoutExpired:
                left = None if left is None else left - POLL
            if self.cut_off() or (left is not None and left <= 0):
                _end(process)
                return left is not None and left <= 0


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _told(code: int, output: Path) -> str:
    lines = output.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    return one_line(f"{how}: {lines[-1]}" if lines else how)
