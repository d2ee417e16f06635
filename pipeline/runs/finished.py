"""Finished runs of an output folder."""

from __future__ import annotations

from pathlib import Path

from schemas.errors import InputError


def find_run(out: Path, run_id: str | None) -> Path:
    """Folder of the run named, or of the newest finished one.

    Raises:
      InputError: there is no such run, or it did not finish.
    """
    folder = out / "runs"
    finished = sorted(p.parent for p in folder.glob("*/manifest.json"))
    if run_id is None:
        if not finished:
            raise InputError(f"{folder}: no finished run; wanted one made by `hardtower run`")
        return max(finished, key=lambda path: (path / "manifest.json").stat().st_mtime)
    run = folder / run_id
    if run not in finished:
        known = ", ".join(p.name for p in finished) or "none"
        raise InputError(f"{folder}: no finished run {run_id!r}; finished: {known}")
    return run
