"""What became of a local run, as `runs/<run_id>/run.json`, from its first moment on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from common.files.atomic import write_files
from common.files.local import read_local_json
from common.runs.files import RunFile
from schemas.base import Frozen

LONGEST_ERROR = 500

Status = Literal["queued", "running", "succeeded", "failed", "stopped", "killed"]
"""`queued`: handed to a process that has not begun. `failed`: ended by an error. `stopped`: ended
by SIGTERM or SIGINT. `killed`: its process went away without a word."""
UNFINISHED: tuple[Status, ...] = ("queued", "running")


TriggerKind = Literal["schedule", "backfill"]


class Trigger(Frozen):
    """What a run that nobody typed was started for."""

    kind: TriggerKind
    tick: str
    """Scheduled time (ISO 8601, UTC), or the day of a backfill."""
    attempt: int
    """From 1."""


class RunRecord(Frozen):
    """Contents of `run.json`."""

    run_id: str
    status: Status
    as_of: str
    config: str = ""
    """Name of the pipeline."""
    command: str = ""
    pid: int | None = None
    started: str
    """ISO 8601, UTC, whole seconds; likewise `finished`."""
    finished: str | None = None
    stage: str | None = None
    """The last stage that began; of a failed run the one that failed."""
    seconds: Mapping[str, float] = {}
    """Wall time of each stage that has ended and did its work anew."""
    error: str | None = None
    blessed: bool | None = None
    """Null while no model has been judged."""
    version: int | None = None
    """The serving version that holds the run's model; null when serving was left untouched."""
    summary: str | None = None
    """The verdict in words."""
    trigger: Trigger | None = None

    def ended(self, status: Status, error: str | None = None, **changes: Any) -> RunRecord:
        """The record of the same run once it has ended."""
        return self.model_copy(
            update={
                "status": status,
                "error": None if error is None else one_line(error),
                "finished": stamp(),
                **changes,
            }
        )


def stamp(moment: datetime | None = None) -> str:
    """A moment, the present one when none is given, as records hold it."""
    return (moment or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="seconds")


def one_line(text: str) -> str:
    """An error as one line that is not too long."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_ERROR else f"{line[: LONGEST_ERROR - 1]}…"


def write_record(out: Path, record: RunRecord) -> None:
    """Writes the record so that a reader sees the old one or the new one."""
    text = record.model_dump_json(indent=2) + "\n"
    write_files(out / "runs" / record.run_id, {RunFile.RECORD: text})


def read_record(folder: Path) -> RunRecord | None:
    """The record in a run's folder, if there is a sound one."""
    try:
        return RunRecord.model_validate(read_local_json(folder / RunFile.RECORD))
    except (ValidationError, ValueError):
        return None


def records(out: Path) -> Iterator[RunRecord]:
    """Records of an output folder by the runs' names."""
    for path in sorted(out.glob(f"runs/*/{RunFile.RECORD}")):
        if (record := read_record(path.parent)) is not None:
            yield record
