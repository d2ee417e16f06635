"""Files on this machine, read without TensorFlow."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from schemas import strict_json
from schemas.errors import InputError


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


def read_local_json(path: Path, default: Any = None) -> Any:
    """Contents of a JSON file, or `default` where there is none.

    Raises:
      InputError: it is not JSON, or of another type than the default.
    """
    if not path.is_file():
        return default
    try:
        contents = strict_json.load(path.read_bytes())
    except ValueError as error:
        raise InputError(f"{path}: not JSON: {error}; wanted the file as it was written") from None
    if default is not None and type(contents) is not type(default):
        seen, wanted = type(contents).__name__, type(default).__name__
        raise InputError(f"{path}: holds a {seen}; wanted a {wanted}, the file as it was written")
    return contents


def finite(value: Any) -> Any:
    """The value with null for every number that JSON cannot hold."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
