"""Keeps the record of a run in step with the run, also when it is asked to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from pipeline.runs.record import RunRecord, write_record
from schemas.errors import InputError, RunError


@dataclass(frozen=True)
class Stage:
    """One node's turn.

    Attributes:
      number, of: place in the run, from 1.
      seconds: wall time, None when the node begins.
      reused: whether an earlier result was taken over.
    """

    name: str
    number: int
    of: int
    seconds: float | None = None
    reused: bool = False


class Progress:
    """Writes down how far a run is."""

    def __init__(self, out: Path, record: RunRecord) -> None:
        self._out = out
        self.record = record
        write_record(out, record)

    def stage(self, stage: Stage) -> None:
        """A stage begins, or has ended."""
        if stage.seconds is None:
            self._change(stage=stage.name)
        elif not stage.reused:
            self._change(seconds={**self.record.seconds, stage.name: round(stage.seconds, 1)})

    def judged(self, verdict: Mapping[str, Any], version: int | None) -> None:
        """The model has been judged, and pushed as a version or not at all."""
        self._change(blessed=verdict["blessed"], summary=verdict["summary"], version=version)

    def _change(self, **changes: Any) -> None:
        self.record = self.record.model_copy(update=changes)
        write_record(self._out, self.record)


@contextmanager
def recorded(out: Path, record: RunRecord) -> Iterator[Progress]:
    """Records the run of the block: begun, how far it is, and how it ended, whatever ended it."""
    progress = Progress(out, record)
    try:
        with termination_raises():
            yield progress
    except (KeyboardInterrupt, Terminated) as error:
        signal = "SIGTERM" if isinstance(error, Terminated) else "SIGINT"
        write_record(out, progress.record.ended("stopped", f"stopped by {signal}"))
        raise
    except BaseException as error:
        kind = "" if isinstance(error, InputError | RunError) else f"{type(error).__name__}: "
        write_record(out, progress.record.ended("failed", f"{kind}{error}"))
        raise
    write_record(out, progress.record.ended("succeeded"))


EXIT_CODE = 128 + signal.SIGTERM


class Terminated(SystemExit):
    """The process was asked to end."""


@contextmanager
def termination_raises() -> Iterator[None]:
    """Within the block SIGTERM raises `Terminated` in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_signal(number: int, frame: FrameType | None) -> None:
        raise Terminated(EXIT_CODE)

    before = signal.signal(signal.SIGTERM, on_signal)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
