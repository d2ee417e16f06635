"""What the models read: the features of candidates as packed columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from common.versions.signatures import input_names
from schemas.contract import Contract


@dataclass(frozen=True)
class InputSchema:
    """Inputs of the models' `raw` signature.

    Attributes:
      text, numbers: their names by type, in the order of the columns.
      columns: by input, the column of the contract that it is named after. A model of an earlier
        release does not say it.
    """

    text: tuple[str, ...]
    numbers: tuple[str, ...]
    columns: Mapping[str, str] = field(default_factory=dict, compare=False)

    def column(self, name: str) -> str:
        """What the log calls an input."""
        return self.columns.get(name, name)

    def spellings(self) -> dict[str, str]:
        """Inputs by the names that requests may give them: the log's, and their own where the log
        does not call another one so."""
        own = {self.column(name): name for name in (*self.text, *self.numbers)}
        return own | {name: name for name in own.values() if name not in own}

    def input_of(self, column: str) -> str | None:
        """The input of a column of the contract, if there is one."""
        name = (self._inputs or input_names([column])).get(column)
        return name if name in self.text or name in self.numbers else None

    @cached_property
    def _inputs(self) -> dict[str, str]:
        return {column: name for name, column in self.columns.items()}

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


def contract_schema(contract: Contract) -> InputSchema:
    """The inputs of models that are trained under a contract."""
    names = input_names(contract.features.names)
    features = contract.features
    return InputSchema(
        tuple(sorted(names[f.name] for f in features.categorical)),
        tuple(sorted(names[f.name] for f in features.numeric)),
        {name: column for column, name in names.items()},
    )


@dataclass(frozen=True)
class RawFeatures:
    """Features of n candidates, in memory candidate by candidate, as models take them.

    Attributes:
      text: object [text features, n] of str, empty where missing.
      numbers: float32 [number features, n], NaN where missing.
    """

    text: npt.NDArray[np.object_]
    numbers: npt.NDArray[np.float32]

    @classmethod
    def empty(cls, schema: InputSchema, n: int) -> RawFeatures:
        """Room for n candidates."""
        return cls(
            np.empty((n, len(schema.text)), object).T,
            np.empty((n, len(schema.numbers)), np.float32).T,
        )

    def take(self, rows: npt.NDArray[np.intp]) -> RawFeatures:
        """The candidates of these places."""
        return RawFeatures(self.text.T[rows].T, self.numbers.T[rows].T)


def missing(schema: InputSchema, n: int) -> RawFeatures:
    """n candidates of which nothing is known."""
    columns = RawFeatures.empty(schema, n)
    columns.text[:] = ""
    columns.numbers[:] = np.nan
    return columns


def fill_in(
    columns: RawFeatures, schema: InputSchema, name: str, values: npt.NDArray[np.float64]
) -> None:
    """Puts numbers, [n], in the place of those of a feature that the request left out, if the
    models read that feature."""
    if name in schema.numbers:
        row = columns.numbers[schema.numbers.index(name)]
        np.copyto(row, values.astype(np.float32), where=np.isnan(row))
