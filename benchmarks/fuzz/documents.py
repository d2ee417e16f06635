"""Broken configs and contracts, as files and as `--set` options."""

from __future__ import annotations

import math
import random
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel

from benchmarks.fuzz.outcomes import NonsenseError, Outcome, damage, outcome_of
from pipeline.config import CONFIG_DIR, PipelineConfig, load_config
from schemas.contract import SCHEMA_DIR, Contract, load_contract

NO_NUMBERS = (
    ".nan", ".inf", "-.inf", "1e308", "-1e308", "1e400", str(10**30), "-12345", "050", "-007",
    "true", "yes", "[1]", "{a: 1}", "soon", "12:30", "2026-01-01", "''", '"1\\0"',
    "!!python/name:os.abc", "&a [*a]", "[" * 3000,
)  # fmt: skip
"""None of these is a value of any number of a config or contract."""

INPUTS: dict[str, tuple[Path, type[BaseModel], Callable[[str], Any]]] = {
    "config": (CONFIG_DIR / "complete_journey.yaml", PipelineConfig, load_config),
    "contract": (SCHEMA_DIR / "complete_journey.yaml", Contract, load_contract),
}


def numbers(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Keys of all numbers of a model and the models in it; not of those in lists and maps."""
    for name, field in model.model_fields.items():
        for kind in _alternatives(field.annotation):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from numbers(kind, f"{prefix}{name}.")
            elif kind in (int, float):
                yield f"{prefix}{name}"


def _alternatives(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)


def try_document(kind: str, seed: int, folder: Path) -> Outcome:
    """Breaks one file or option of a kind of `INPUTS`, loads it, and judges what came of it."""
    rng = random.Random(f"{kind} {seed}")
    source, model, load = INPUTS[kind]
    text = source.read_text(encoding="utf-8")
    path = folder / f"{kind}.yaml"
    how = rng.choice(("damage", "damage", "number", "number", "twice", "utf-16"))
    must_fail = how in ("number", "twice")
    if how == "damage":
        what, data = damage(text.encode(), rng)
    elif how == "utf-16":
        # Readable by its mark, or refused; never half of either.
        what, data = how, text.encode("utf-16")
    elif how == "twice":
        what, data = _twice(text, rng)
    else:
        key, value = rng.choice([*numbers(model)]), rng.choice(NO_NUMBERS)
        what = f"{key}: {value[:40]}"
        if kind == "config" and rng.random() < 0.5:
            section = key.split(".")[0]
            return outcome_of(f"--set {what}", section, lambda: _refused(load_set(key, value)))
        data = _with(text, key, value)
    path.write_bytes(data)

    def work() -> None:
        loaded = load(str(path))
        if must_fail:
            _refused(loaded)
        _check_numbers(loaded.model_dump())

    return outcome_of(f"{kind}: {what}", str(path), work)


def load_set(key: str, value: str) -> PipelineConfig:
    """The shipped config with one option."""
    return load_config("complete_journey", [f"{key}={value}"])


def _refused(loaded: BaseModel) -> None:
    raise NonsenseError(f"taken: {loaded!r:.200}")


def _twice(text: str, rng: random.Random) -> tuple[str, bytes]:
    """One line with a key and a value, written again below."""
    lines = text.splitlines(keepends=True)
    keyed = [i for i, line in enumerate(lines) if _is_pair(line)]
    at = rng.choice(keyed)
    return f"twice: {lines[at].strip()}", "".join([*lines[: at + 1], *lines[at:]]).encode()


def _is_pair(line: str) -> bool:
    key, colon, value = line.strip().partition(": ")
    return bool(colon) and key.isidentifier() and value[0] not in "{[|>&#"


def _with(text: str, key: str, value: str) -> bytes:
    """The document with a key set to a value as it stands in YAML."""
    document = yaml.safe_load(text)
    place = document
    *parents, leaf = key.split(".")
    for parent in parents:
        place = place.setdefault(parent, {})
    place[leaf] = "PLACE-OF-THE-VALUE"
    written = yaml.safe_dump(document, sort_keys=False, default_flow_style=True, width=10**9)
    return written.replace("PLACE-OF-THE-VALUE", value).encode()


def _check_numbers(value: Any) -> None:
    if isinstance(value, dict):
        for each in value.values():
            _check_numbers(each)
    elif isinstance(value, list | tuple):
        for each in value:
            _check_numbers(each)
    elif isinstance(value, float) and not math.isfinite(value):
        raise NonsenseError(f"taken: the number {value}")
