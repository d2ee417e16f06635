"""All runs of an output folder, also those that failed and those of an orchestrator."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from common.files.local import read_local_json
from common.runs.files import RunFile
from pipeline.runs.lock import running_in
from pipeline.runs.record import read_record
from schemas.checked import checked
from schemas.errors import InputError

BLESSED = {True: "blessed", False: "not blessed", None: ""}


@dataclass(frozen=True)
class RunLine:
    """A run as lists show it; empty where nothing is known.

    Attributes:
      state: `queued`, `running`, `succeeded`, `failed`, `stopped` or `killed`.
      verdict: `blessed` or `not blessed`.
      version: the serving version that holds its model.
      stage: the last stage that began, of a run that did not succeed.
      reason: why it failed or was not blessed.
    """

    run_id: str
    state: str
    as_of: str = ""
    verdict: str = ""
    version: str = ""
    started: str = ""
    finished: str = ""
    stage: str = ""
    trigger: str = ""
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def local_runs(out: Path) -> list[RunLine]:
    """Runs of an output folder, newest first; raises `InputError` for a manifest that is none."""
    alive = running_in(out)
    lines = [_line(folder, alive) for folder in sorted(out.glob("runs/*")) if folder.is_dir()]
    return sorted(lines, key=lambda line: (line.started, line.run_id), reverse=True)


def _line(folder: Path, alive: str | None) -> RunLine:
    record = read_record(folder)
    if record is None:
        return _unrecorded(folder)
    state, reason = str(record.status), record.error or ""
    if record.status == "running" and alive != record.run_id:
        state, reason = "killed", "the process went away without a word"
    if not reason and record.blessed is False:
        reason = record.summary or ""
    trigger = record.trigger
    return RunLine(
        run_id=record.run_id,
        state=state,
        as_of=record.as_of,
        verdict=BLESSED[record.blessed],
        version=_text(record.version),
        started=record.started,
        finished=record.finished or "",
        stage=record.stage or "" if state != "succeeded" else "",
        trigger="" if trigger is None else f"{trigger.kind} {trigger.tick}",
        reason=reason,
    )


class _Judged(BaseModel):
    blessed: bool | None = None
    summary: str = ""


class _Data(BaseModel):
    as_of: str = ""


class _Manifest(BaseModel):
    """What is shown of a run's manifest; versions of hardtower differ in the rest."""

    created: str = ""
    version: int | None = None
    data: _Data = _Data()
    verdict: _Judged = _Judged()


class _Ending(BaseModel):
    """The same of what the last step of a run on Kubeflow wrote."""

    status: str = ""
    error: str = ""
    written: str = ""


def _unrecorded(folder: Path) -> RunLine:
    """A run of Kubeflow, told by what its last steps wrote."""
    files = folder / RunFile.MANIFEST, folder / RunFile.VERDICT
    manifest = checked(_Manifest, read_local_json(files[0], {}), str(files[0]))
    ending = checked(_Ending, read_local_json(files[1], {}), str(files[1]))
    blessed = manifest.verdict.blessed
    return RunLine(
        run_id=folder.name,
        state=ending.status.lower() or ("succeeded" if files[0].is_file() else ""),
        as_of=manifest.data.as_of,
        verdict=BLESSED[blessed],
        version=_text(manifest.version),
        started=manifest.created,
        finished=ending.written,
        reason=ending.error or (manifest.verdict.summary if blessed is False else ""),
    )


def _text(version: int | None) -> str:
    return "" if version is None else str(version)


def find_run(out: Path, run_id: str | None) -> Path:
    """Folder of the run named, or of the newest finished one.

    Raises:
      InputError: there is no such run, or it did not finish.
    """
    folder = out / "runs"
    finished = sorted(p.parent for p in folder.glob(f"*/{RunFile.MANIFEST}"))
    if run_id is None:
        if not finished:
            raise InputError(f"{folder}: no finished run; wanted one made by `hardtower run`")
        return max(finished, key=lambda path: (path / RunFile.MANIFEST).stat().st_mtime)
    run = folder / run_id
    if run not in finished:
        known = ", ".join(p.name for p in finished) or "none"
        raise InputError(f"{folder}: no finished run {run_id!r}; finished: {known}")
    return run
