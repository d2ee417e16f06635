"""Which version in the push folder is the newest."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from common.files.local import local_path

MODEL_FILE = "saved_model.pb"
MANIFEST_FILE = "assets.extra/manifest.json"


@dataclass(frozen=True)
class Version:
    """A pushed model.

    Attributes:
      number: its name in the push folder.
      path: the SavedModel.
      manifest_digest: `sha256:` and 64 hex digits over its manifest; empty when it has none.
    """

    number: int
    path: Path
    manifest_digest: str


def newest_version(folder: str | os.PathLike[str]) -> Version | None:
    """The highest numbered version; none when the folder is missing or holds no version.

    A version is a folder named by a number without leading zeros that holds a SavedModel.
    Anything else, such as a version that is still being copied under another name, is ignored.

    Raises:
      InputError: the folder is in a bucket.
    """
    root = local_path("serving_dir", os.fspath(folder))
    if not root.is_dir():
        return None
    numbers = [
        int(path.name)
        for path in root.iterdir()
        if _is_number(path.name) and (path / MODEL_FILE).is_file()
    ]
    if not numbers:
        return None
    path = root / str(max(numbers))
    return Version(max(numbers), path, _digest(path / MANIFEST_FILE))


def fingerprint(folder: str | os.PathLike[str]) -> str:
    """Changes whenever the newest version does; empty while there is none."""
    newest = newest_version(folder)
    if newest is None:
        return ""
    return f"{newest.number}:{newest.manifest_digest or _digest(newest.path / MODEL_FILE)}"


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit() and str(int(name)) == name


def _digest(file: Path) -> str:
    if not file.is_file():
        return ""
    return f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"
