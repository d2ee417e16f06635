"""Examples in docstrings, run."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("common", "components", "labs", "pipeline", "schemas", "service")


def with_examples() -> list[str]:
    """Names of the modules whose source has any."""
    files = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]
    shown = [file.relative_to(ROOT).with_suffix("") for file in files if ">>> " in file.read_text()]
    return [".".join(path.parts) for path in shown]


@pytest.mark.parametrize("name", with_examples())
def test_examples_give_what_they_say(name: str) -> None:
    done = doctest.testmod(importlib.import_module(name))
    assert done.attempted > 0
    assert done.failed == 0, "see the captured output"
