"""Which code, config and moment made a run."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterable
from datetime import UTC, date, datetime
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run_name(as_of: date, now: datetime | None = None) -> str:
    """`<as-of day>-<start of the run, UTC>`, sortable and fit for a folder."""
    moment = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    return f"{as_of.isoformat()}-{moment}"


@lru_cache
def code_version() -> str:
    """Version of the package, with the commit when it runs from a checkout or an image of one."""
    plain = version("hardtower")
    built_from = os.environ.get("HARDTOWER_REVISION")
    if built_from:
        return f"{plain}+{built_from}"
    if not (ROOT / ".git").exists():
        return plain
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return f"{plain}+{found.stdout.strip()}" if found.returncode == 0 else plain


def code_fingerprint(*stages: str) -> str:
    """Sixteen hex digits of the sources that a stage runs: its own, the shared ones, the schemas.

    Functions are passed to TFX by name, so that its cache would not notice a changed source.

    Args:
      stages: folders under `components`.
    """
    folders = [ROOT / "schemas", *(ROOT / "components" / s for s in ("common", *stages))]
    return _fingerprint(tuple(folders))


@lru_cache
def _fingerprint(folders: tuple[Path, ...]) -> str:
    digest = hashlib.sha256()
    for path in _sources(folders):
        digest.update(str(path.relative_to(ROOT)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _sources(folders: Iterable[Path]) -> Iterable[Path]:
    for folder in folders:
        yield from sorted(folder.rglob("*.py"))
