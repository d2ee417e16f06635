"""Compiled pipelines as files."""

from __future__ import annotations

import os
from pathlib import Path

import yaml

from pipeline.runners.kubeflow.compiled import Compiled
from pipeline.runners.kubeflow.lint import require_sound


def write_documents(compiled: Compiled, path: Path) -> None:
    """Writes the YAML documents so that a reader sees the old file or all of the new one.

    Raises:
      InputError: a rule of the linter is broken; nothing is written.
    """
    require_sound(compiled)
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with staging.open("w", encoding="utf-8") as file:
            yaml.safe_dump_all(compiled.documents, file, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        os.replace(staging, path)
    finally:
        staging.unlink(missing_ok=True)
