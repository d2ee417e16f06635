"""Digests that name a model and a config, and those that tell whether a version is as pushed.

They tell damage, not malice: who can change a file of a version can change its digest too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.versions.reference import ASSETS_EXTRA
from schemas.errors import InputError

SUMS = "SHA256SUMS"
"""File of a version that lists all its others: 64 hex digits, two spaces, name, as `sha256sum -c`
reads it."""


def model_files(model: Path) -> list[Path]:
    """Files of a SavedModel relative to it, sorted, without `assets.extra` and `SHA256SUMS`."""
    others = (ASSETS_EXTRA, SUMS)
    return [file for file in _files(model) if file.parts[0] not in others]


def model_digest(model: Path) -> str:
    """`sha256:` and 64 hex digits over names and contents of a SavedModel's files."""
    digest = hashlib.sha256()
    for name in model_files(model):
        digest.update(_line(model, name).encode())
    return f"sha256:{digest.hexdigest()}"


def config_digest(config: Mapping[str, Any]) -> str:
    """`sha256:` and 64 hex digits over the config as JSON with sorted keys."""
    text = json.dumps(config, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def write_sums(version: Path) -> None:
    """Lists the digest of every file of a version in its `SHA256SUMS`."""
    lines = "".join(_line(version, name) for name in _files(version) if name.name != SUMS)
    (version / SUMS).write_text(lines, encoding="utf-8")


def check_sums(version: Path) -> None:
    """Proves that a version is as it was pushed, file by file.

    Raises:
      InputError: a file is missing, was changed or was added, or there is no list.
    """
    try:
        listed = (version / SUMS).read_bytes().decode("utf-8", "replace").splitlines(keepends=True)
    except OSError as error:
        raise InputError(f"{version / SUMS}: {error.strerror}; wanted it as pushed") from None
    there = [name for name in _files(version) if name.as_posix() != SUMS]
    seen = {name.as_posix(): _line(version, name) for name in there}
    wanted = {line[66:].removesuffix("\n"): line for line in listed}
    for name in sorted(seen.keys() | wanted.keys()):
        if seen.get(name) != wanted.get(name):
            fault = "changed"
            if name not in seen or name not in wanted:
                fault = "missing" if name not in seen else "not in the list"
            raise InputError(
                f"{version / name}: {fault}; wanted the files of {version / SUMS}, as pushed"
            )


def _files(folder: Path) -> list[Path]:
    """Files of a tree relative to it, sorted by name."""
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(files, key=Path.as_posix)


def _line(folder: Path, name: Path) -> str:
    with (folder / name).open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    return f"{content}  {name.as_posix()}\n"
