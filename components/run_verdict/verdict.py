"""What came of a run: its status, its model's verdict, and what serving has now."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from common.files.local import local_path, read_local_json
from common.runs.files import RunFile
from common.versions.folder import ServingFolder
from common.versions.reference import MANIFEST
from schemas.base import Frozen

SUCCEEDED, FAILED, UNKNOWN = "SUCCEEDED", "FAILED", "UNKNOWN"


class RunOutcome(Frozen):
    """Contents of `verdict.json`."""

    run_id: str
    status: str
    """The orchestrator's word: SUCCEEDED, FAILED, CANCELLED, ... Without one, SUCCEEDED when the
    last step has left the run's manifest, else FAILED; UNKNOWN when the word makes no sense."""
    error: str
    """The orchestrator's message; empty when there is none."""
    blessed: bool | None
    """Null when the run ended before its report was written."""
    summary: str
    """The evaluator's, or why there is none."""
    pushed_version: int | None
    """The serving version that this run made; null when serving was left untouched."""
    serving_version: int | None
    """The newest version; null while there is none."""
    serving_run_id: str
    """The run that made it; empty when its manifest does not tell."""
    written: str
    """ISO 8601, UTC, whole seconds."""

    @property
    def serving(self) -> str:
        """What the run did to the push folder, as a sentence."""
        if self.pushed_version is not None:
            return f"version {self.pushed_version} was pushed by this run"
        if self.serving_version is None:
            return "left untouched; nothing has been pushed yet"
        maker = f", made by run {self.serving_run_id}" if self.serving_run_id else ""
        return f"left untouched at version {self.serving_version}{maker}"


def final_status(text: str, reported: bool) -> tuple[str, str]:
    """State and error message of a run.

    Args:
      text: a `PipelineTaskFinalStatus` in JSON; empty where the orchestrator does not tell.
      reported: whether the run's last step has written its report.
    """
    if not text:
        return (SUCCEEDED if reported else FAILED), ""
    try:
        status = json.loads(text)
    except ValueError:
        return UNKNOWN, ""
    if not isinstance(status, dict):
        return UNKNOWN, ""
    error = status.get("error")
    message = error.get("message", "") if isinstance(error, dict) else ""
    return str(status.get("state", UNKNOWN)), str(message)


def judge_run(
    run_id: str, status_text: str, folder: Path, serving_dir: str, written: datetime
) -> RunOutcome:
    """Puts together what the run left behind.

    Args:
      status_text: as `final_status` takes it.
      folder: of the run, `runs/<run_id>/`; it may be missing.
      serving_dir: push folder; it may be missing or empty.
      written: an aware time.
    """
    manifest: dict[str, Any] = read_local_json(folder / RunFile.MANIFEST, {})
    state, error = final_status(status_text, reported=bool(manifest))
    judged = manifest.get("verdict", {})
    newest = ServingFolder(local_path("serving_dir", serving_dir)).newest()
    served: dict[str, Any] = read_local_json(newest.path / MANIFEST, {}) if newest else {}
    maker = str(served.get("run_id", ""))
    return RunOutcome(
        run_id=run_id,
        status=state,
        error=error,
        blessed=judged.get("blessed"),
        summary=judged.get("summary", "the run ended before a model was judged and reported"),
        pushed_version=newest.number if newest and maker == run_id else None,
        serving_version=newest.number if newest else None,
        serving_run_id=maker,
        written=written.astimezone(UTC).isoformat(timespec="seconds"),
    )
