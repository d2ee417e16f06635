"""Artifacts as folders on this machine, for code that reads them with plain file calls."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tfx.dsl.io import fileio
from tfx.utils import io_utils

from schemas.errors import InputError


@contextmanager
def local_dir(uri: str) -> Iterator[Path]:
    """The folder at `uri`; a temporary copy of it where `uri` names a bucket."""
    if "://" not in uri:
        yield Path(uri)
        return
    with tempfile.TemporaryDirectory() as folder:
        if fileio.exists(uri):
            io_utils.copy_dir(uri, folder)
        yield Path(folder)


def local_path(setting: str, value: str) -> Path:
    """The path that a setting names.

    Raises:
      InputError: it names a bucket, where folders cannot be renamed.
    """
    if "://" in value:
        raise InputError(
            f"{setting}: {value!r} is not a path; wanted a folder on a disk or a mounted volume"
        )
    return Path(value)


def read_json(path: Path, default: Any = None) -> Any:
    """Contents of a JSON file, or `default` where there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else default
