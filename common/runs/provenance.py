"""Which code, config and moment made a run."""

from __future__ import annotations

import hashlib
import os
import subprocess
from datetime import UTC, date, datetime
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[2]

PACKAGES = ("pipeline", "labs", "service", "components", "common", "schemas")


def run_name(as_of: date, now: datetime | None = None) -> str:
    """`<as-of day>-<start of the run, UTC>`, sortable and fit for a folder."""
    moment = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    return f"{as_of.isoformat()}-{moment}"


@lru_cache
def code_version() -> str:
    """Version of the package, with the commit when it runs from a checkout or an image of one.

    Without the commit where git is missing or does not answer.
    """
    plain = version("hardtower")
    built_from = os.environ.get("HARDTOWER_REVISION")
    if built_from:
        return f"{plain}+{built_from}"
    if not (ROOT / ".git").exists():
        return plain
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        revision = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return plain
    return f"{plain}+{revision.stdout.strip()}" if revision.returncode == 0 else plain


def code_fingerprint(*modules: str) -> str:
    """Sixteen hex digits that change with the source of the modules and of all that they import.

    TFX and the experiments reuse earlier results by a key; functions are passed by name, so that
    neither would notice a changed source. What a module imports is read from its source, imports
    inside functions included, through any number of our modules; other packages don't count.

    Args:
      modules: full names, such as `components.trainer.run_fn`. What one loads by name instead of
        importing it has to be named too.

    Raises:
      ValueError: there is no such module.
    """
    return _fingerprint(frozenset(modules))


@lru_cache
def _fingerprint(modules: frozenset[str]) -> str:
    digest = hashlib.sha256()
    for module in sorted(_imported(modules)):
        digest.update(module.encode())
        digest.update(_source(module).read_bytes())
    return digest.hexdigest()[:16]


def _imported(modules: frozenset[str]) -> frozenset[str]:
    graph = _import_graph()
    if unknown := sorted(modules - graph.modules):
        raise ValueError(f"{unknown[0]!r} is no module of {', '.join(PACKAGES)}")
    return modules.union(*(graph.find_upstream_modules(module) for module in modules))


@cache
def _import_graph() -> grimp.ImportGraph:
    return grimp.build_graph(*PACKAGES, cache_dir=None, exclude_type_checking_imports=True)


def _source(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
