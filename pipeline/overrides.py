"""YAML files and the `key.subkey=value` overrides laid over them."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any

from schemas.checked import parse_yaml
from schemas.errors import InputError

LONGEST_SHOWN = 120
"""Characters of an override that an error shows."""


def read_yaml(path: Path) -> dict[str, Any]:
    """The keys and values of a file.

    Raises:
      InputError: the file is not YAML, or holds no keys.
    """
    raw = parse_yaml(path.read_bytes(), str(path))
    if not isinstance(raw, dict):
        raise InputError(f"{path}: seen {type(raw).__name__}, wanted keys and values")
    return raw


def with_overrides(raw: dict[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """A copy of `raw` in which each `key.subkey=value` is set, values in YAML.

    Raises:
      InputError: an override is not of that form, goes below a key that holds a value, or undoes
        one before it.
    """
    changed = deepcopy(raw)
    before: list[str] = []
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key:
            raise InputError(f"--set: seen {_short(override)!r}, wanted key=value")
        source = f"--set {_short(override)}"
        if undone := [k for k in before if f"{k}.".startswith(f"{key}.")]:
            raise InputError(f"{source}: {undone[0]!r} is set twice; wanted once")
        before.append(key)
        *parents, leaf = key.split(".")
        place = changed
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise InputError(f"{source}: {parent!r} holds a value, not keys")
        place[leaf] = parse_yaml(text, source)
    return changed


def _short(override: str) -> str:
    return override if len(override) <= LONGEST_SHOWN else f"{override[:LONGEST_SHOWN]}..."
