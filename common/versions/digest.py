"""Digests that name a model and a config."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ASSETS_EXTRA = "assets.extra"
"""Folder of a SavedModel for files that are no part of the model."""


def model_files(model: Path) -> list[Path]:
    """Files of a SavedModel relative to it, sorted, without `assets.extra`."""
    files = (path.relative_to(model) for path in model.rglob("*") if path.is_file())
    return sorted((f for f in files if f.parts[0] != ASSETS_EXTRA), key=lambda f: f.as_posix())


def model_digest(model: Path) -> str:
    """`sha256:` and 64 hex digits over names and contents of a SavedModel's files."""
    digest = hashlib.sha256()
    for name in model_files(model):
        with (model / name).open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{content}  {name.as_posix()}\n".encode())
    return f"sha256:{digest.hexdigest()}"


def config_digest(config: Mapping[str, Any]) -> str:
    """`sha256:` and 64 hex digits over the config as JSON with sorted keys."""
    text = json.dumps(config, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
