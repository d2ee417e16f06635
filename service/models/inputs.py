"""What the models read: the features of a request as packed columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_NUMBERS: set[type] = {int, float, type(None)}
_TEXT: set[type] = {str, type(None)}


class BadFieldError(ValueError):
    """A field of a request that cannot be used.

    Attributes:
      field: where it is, such as `candidates.3.features.price`.
      message: value seen and value wanted.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


@dataclass(frozen=True)
class InputSchema:
    """Names of the inputs of the models' `raw` signature by type, each sorted."""

    text: tuple[str, ...]
    numbers: tuple[str, ...]

    def difference(self, wanted: InputSchema) -> str:
        """What is different here from what is wanted, in words; empty when nothing is."""
        mine, theirs = (
            dict.fromkeys(s.text, "text") | dict.fromkeys(s.numbers, "number")
            for s in (self, wanted)
        )
        parts = [f"no feature {n!r}" for n in sorted(theirs.keys() - mine.keys())]
        parts += [f"unknown feature {n!r}" for n in sorted(mine.keys() - theirs.keys())]
        parts += [
            f"feature {n!r} is {mine[n]}, wanted {theirs[n]}"
            for n in sorted(mine.keys() & theirs.keys())
            if mine[n] != theirs[n]
        ]
        return "; ".join(parts)


@dataclass(frozen=True)
class Columns:
    """Features of n candidates.

    Attributes:
      text: object [text features, n] of UTF-8 bytes, empty where missing.
      numbers: float32 [number features, n], NaN where missing.
    """

    text: npt.NDArray[np.object_]
    numbers: npt.NDArray[np.float32]

    def take(self, rows: npt.NDArray[np.intp]) -> Columns:
        """The candidates of these places."""
        return Columns(self.text[:, rows], self.numbers[:, rows])


def missing(schema: InputSchema, n: int) -> Columns:
    """n candidates of which nothing is known."""
    return Columns(
        np.full((len(schema.text), n), b"", object),
        np.full((len(schema.numbers), n), np.nan, np.float32),
    )


def to_columns(
    schema: InputSchema, context: Mapping[str, Any], candidates: Sequence[Mapping[str, Any]]
) -> Columns:
    """Packs features; a feature that is absent or null is missing.

    Args:
      context: features of every candidate.
      candidates: features of each, which go before the context's.

    Raises:
      BadFieldError: an unknown feature, a value of the wrong type, or one out of float32's range.
    """
    here = set().union(*candidates)
    known = {*schema.text, *schema.numbers}
    if unknown := (here | context.keys()) - known:
        name = min(unknown)
        raise BadFieldError(_place(name, context, candidates), "unknown feature")
    columns = missing(schema, len(candidates))
    for row, name in enumerate(schema.text):
        values = _values(name, context, candidates, name in here, _TEXT, "text or null")
        columns.text[row] = [v.encode() if v else b"" for v in values]
    for row, name in enumerate(schema.numbers):
        values = _values(name, context, candidates, name in here, _NUMBERS, "a number or null")
        columns.numbers[row] = _numbers(values)
    if (infinite := np.isinf(columns.numbers)).any():
        row, i = (int(axis[0]) for axis in np.nonzero(infinite))
        name = schema.numbers[row]
        where = f"candidates.{i}.features.{name}" if name in candidates[i] else f"context.{name}"
        raise BadFieldError(where, "out of range; wanted a number that float32 can hold")
    return columns


def fill_in(
    columns: Columns, schema: InputSchema, name: str, values: npt.NDArray[np.float64]
) -> None:
    """Puts numbers, [n], in the place of those of a feature that the request left out, if the
    models read that feature."""
    if name in schema.numbers:
        row = columns.numbers[schema.numbers.index(name)]
        np.copyto(row, values.astype(np.float32), where=np.isnan(row))


def _values(
    name: str,
    context: Mapping[str, Any],
    candidates: Sequence[Mapping[str, Any]],
    here: bool,
    types: set[type],
    wanted: str,
) -> list[Any]:
    shared = context.get(name)
    values = [c.get(name, shared) for c in candidates] if here else [shared] * len(candidates)
    if not types.issuperset(map(type, values)):
        i, bad = next((i, v) for i, v in enumerate(values) if type(v) not in types)
        where = f"candidates.{i}.features.{name}" if name in candidates[i] else f"context.{name}"
        raise BadFieldError(where, f"{str(bad)[:80]!r} is {type(bad).__name__}; wanted {wanted}")
    return values


def _numbers(values: list[Any]) -> npt.NDArray[np.float32]:
    # None becomes NaN. A value that no float holds, or no float32, becomes infinite.
    try:
        wide = np.array(values, np.float64)
    except OverflowError:
        wide = np.array([np.inf if _huge(v) else v for v in values], np.float64)
    with np.errstate(over="ignore"):
        return wide.astype(np.float32)


def _huge(value: Any) -> bool:
    return isinstance(value, int) and abs(value) > 2**1000


def _place(name: str, context: Mapping[str, Any], candidates: Sequence[Mapping[str, Any]]) -> str:
    if name in context:
        return f"context.{name}"
    i = next(i for i, c in enumerate(candidates) if name in c)
    return f"candidates.{i}.features.{name}"
