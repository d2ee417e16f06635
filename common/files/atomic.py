"""The folder of a run: `runs/<run_id>/` with report, metrics and manifest."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from schemas.errors import InputError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*")


def run_folder(out: Path, run_id: str) -> Path:
    """Where a run's files go.

    Raises:
      InputError: the id is not fit to name a folder.
    """
    if not _NAME.fullmatch(run_id):
        raise InputError(
            f"run_id: {run_id!r} cannot name a folder; wanted letters, digits and any of . _ : -"
        )
    return out / "runs" / run_id


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Writes each file so that a reader sees all of it or none; in the order given."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, contents in files.items():
        staging = folder / f".{name}.new"
        with staging.open("w", encoding="utf-8") as file:
            file.write(contents)
            file.flush()
            os.fsync(file.fileno())
        os.replace(staging, folder / name)
