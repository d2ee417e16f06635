"""One run at a time in an output folder.

Two runs in one folder would write to one metadata store, where SQLite fails the slower one, and
take each other's half-written artifacts for results. The kernel frees the lock when its holder
dies, by whatever signal.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.runs.record import records, write_record
from schemas.errors import InputError

LOCK_FILE = ".run.lock"


@contextmanager
def hold_output(
    out: Path, run_id: str, wait: bool = False, on_wait: Callable[[str], None] = lambda who: None
) -> Iterator[None]:
    """Keeps other runs out of the folder; runs that died there are recorded as killed.

    Args:
      run_id: of the run that is about to begin.
      wait: for a run that is going on, instead of refusing.
      on_wait: told who is waited for.

    Raises:
      InputError: a run is going on there.
    """
    out.mkdir(parents=True, exist_ok=True)
    handle = os.open(out / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not try_lock(handle):
            holder = _read(handle)
            who = f"run {holder.get('run_id', '(unnamed)')}, process {holder.get('pid', '?')}"
            if not wait:
                raise InputError(
                    f"{out}: {who} is going on there; wanted one run at a time, or --queue to wait"
                )
            on_wait(who)
            fcntl.flock(handle, fcntl.LOCK_EX)
        _write(handle, {"run_id": run_id, "pid": os.getpid()})
        _bury(out, run_id)
        yield
    finally:
        os.close(handle)


def running_in(out: Path) -> str | None:
    """Name of the run that is going on in the folder, if any."""
    try:
        handle = os.open(out / LOCK_FILE, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        if try_lock(handle, fcntl.LOCK_SH):
            return None
        return str(_read(handle).get("run_id", ""))
    finally:
        os.close(handle)


def try_lock(handle: int, kind: int = fcntl.LOCK_EX) -> bool:
    """Whether the lock could be had at once."""
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _bury(out: Path, run_id: str) -> None:
    """Records runs whose process went away without a word; only under the lock."""
    for record in records(out):
        if record.status == "running" and record.run_id != run_id:
            error = "the process went away without a word"
            write_record(out, record.ended("killed", error))


def _read(handle: int) -> dict[str, Any]:
    try:
        holder = json.loads(os.pread(handle, 4096, 0))
    except ValueError:
        return {}
    return holder if isinstance(holder, dict) else {}


def _write(handle: int, holder: dict[str, Any]) -> None:
    os.ftruncate(handle, 0)
    os.pwrite(handle, json.dumps(holder).encode(), 0)
