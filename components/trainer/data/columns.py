"""Training data as columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from common.pages.text import counted
from components.trainer.data.storage import MEMORY, Array, Storage, pieces
from components.trainer.settings import Labels
from components.transform.layout import FeatureLayout
from schemas.errors import InputError

ARRAYS = ("ids", "nums", "label", "hard", "cvr", "weight", "completeness")
"""Names of the arrays of `Columns`."""


@dataclass(frozen=True)
class Columns:
    """Transformed examples of one split, row i of every array being example i.

    Attributes:
      ids: int32 [n, categorical features], local ids (see `FeatureLayout`).
      nums: float32 [n, numeric width].
      label: float32 [n], 0 or 1.
      hard: bool [n], the example's task.
      cvr: float32 [n], historical CVR of the example's setup (see `schemas.labelled`).
      weight: float32 [n], 0 or more, what the example counts; none is 1 for all.
      completeness: float32 [n], in (0, 1], share of the example's conversions that can have been
        seen by the time of the label; none is 1 for all.
      storage: where the arrays lie, and those that are made of them. What goes through all examples
        does so in `blocks`, since they need not fit into memory.
    """

    ids: npt.NDArray[np.int32]
    nums: npt.NDArray[np.float32]
    label: npt.NDArray[np.float32]
    hard: npt.NDArray[np.bool_]
    cvr: npt.NDArray[np.float32]
    weight: npt.NDArray[np.float32] | None = None
    completeness: npt.NDArray[np.float32] | None = None
    storage: Storage = MEMORY

    @property
    def seen(self) -> npt.NDArray[np.float32]:
        """Completeness, ones where there is none."""
        return np.ones_like(self.label) if self.completeness is None else self.completeness

    @property
    def weighs(self) -> npt.NDArray[np.float32]:
        """Weights, ones where there are none."""
        return np.ones_like(self.label) if self.weight is None else self.weight

    @property
    def arrays(self) -> dict[str, Array]:
        """The arrays that there are, by name."""
        every = {name: getattr(self, name) for name in ARRAYS}
        return {name: values for name, values in every.items() if values is not None}

    def __len__(self) -> int:
        return len(self.label)

    def take(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Columns:
        """The examples at the given row numbers, or where the mask is true, in the same storage."""
        return self._each(lambda values: self.storage.take(values, rows), self.storage)

    def part(self, rows: slice | npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Columns:
        """A few of the examples, in memory."""
        return self._each(lambda values: values[rows], MEMORY)

    def runs(self, runs: Sequence[slice]) -> Columns:
        """Some consecutive examples after others, in memory; a single run is not copied."""
        if len(runs) == 1:
            return self.part(runs[0])
        return self._each(lambda values: np.concatenate([values[run] for run in runs]), MEMORY)

    def blocks(self) -> Iterator[Block]:
        """All examples, a few at a time, in their order."""
        for rows in pieces(len(self)):
            yield Block(rows, self.part(rows))
            self.storage.release()

    def _each(self, of: Callable[[Array], Array], storage: Storage) -> Columns:
        made: dict[str, Any] = {name: of(values) for name, values in self.arrays.items()}
        return Columns(**made, storage=storage)


class Block(NamedTuple):
    """Consecutive examples.

    Attributes:
      rows: which they are.
      columns: they themselves.
    """

    rows: slice
    columns: Columns


def known(columns: Columns, labels: Labels, min_completeness: float) -> Columns:
    """What of labels that may still change is trained on, see `training.labels`.

    Args:
      columns: as read; without completeness they come back as they are.
      labels: of the settings.
      min_completeness: rows below are left out.
    """
    if columns.completeness is None:
        return columns
    least = 1.0 if labels == "mature" else min_completeness
    enough = columns.completeness >= np.float32(least)
    left = columns if enough.all() else columns.take(enough)
    if labels == "corrected" and any((block.seen < 1).any() for _, block in left.blocks()):
        return left
    return replace(left, completeness=None)


def task_numbers(columns: Columns, boundaries: Sequence[float]) -> npt.NDArray[np.uint8]:
    """Place of each example's task in `ModelSettings.tasks`, uint8 [n].

    A hard example is 0 whatever its historical CVR: hysteresis and pins can put either task on
    either side of any threshold. A soft one is 1 + the number of boundaries below its CVR, both
    compared as float32.
    """
    if not boundaries:
        return (~columns.hard).astype(np.uint8)
    numbers = np.empty(len(columns), np.uint8)
    for rows, block in columns.blocks():
        tier = np.searchsorted(np.asarray(boundaries, np.float32), block.cvr, side="left")
        numbers[rows] = np.where(block.hard, 0, tier + 1)
    return numbers


def check_columns(columns: Columns, layout: FeatureLayout, split: str) -> None:
    """Refuses columns that would train silently wrong.

    Raises:
      InputError: the split holds no hard example, or none that weighs anything, or a numeric
        feature that is not finite.
      ValueError: the arrays don't have the layout's shape, an id is outside its feature's table
        (in a fused table it would be another feature's row), a label is not 0 or 1, or a
        completeness is not inside (0, 1].
    """
    n = len(columns)
    wanted = {
        "ids": (n, len(layout.categorical)),
        "nums": (n, layout.numeric_width),
        "label": (n,),
        "hard": (n,),
        "cvr": (n,),
    }
    wanted |= {k: (n,) for k in ("weight", "completeness") if getattr(columns, k) is not None}
    for name, shape in wanted.items():
        seen = getattr(columns, name).shape
        if seen != shape:
            raise ValueError(f"split {split!r}: {name} has shape {seen}; wanted {shape}")
    if not columns.hard.any():
        raise InputError(
            f"split {split!r}: none of its {counted(n, 'example')} is hard; wanted at least one "
            "(raise alpha or use a longer period)"
        )
    for rows, block in columns.blocks():
        _check_values(block, layout, split, rows.start)
    if not any(block.weighs[block.hard].any() for _, block in columns.blocks()):
        raise InputError(
            f"split {split!r}: the weights of all its hard examples are 0; wanted one above 0"
        )


def _check_values(columns: Columns, layout: FeatureLayout, split: str, first_row: int) -> None:
    lowest, highest = columns.ids.min(axis=0), columns.ids.max(axis=0)
    for i, (name, rows) in enumerate(zip(layout.categorical, layout.rows, strict=True)):
        if lowest[i] < 0 or highest[i] >= rows:
            raise ValueError(
                f"split {split!r}: feature {name!r} has ids {lowest[i]}..{highest[i]}; "
                f"wanted 0..{rows - 1}"
            )
    finite = np.isfinite(columns.nums).all(axis=0)
    for i, name in enumerate(layout.numeric):
        if not finite[i]:
            row = int(np.flatnonzero(~np.isfinite(columns.nums[:, i]))[0])
            raise InputError(
                f"split {split!r}: feature {name!r}, row {first_row + row} is "
                f"{columns.nums[row, i]}; wanted a finite number"
            )
    if not ((columns.seen > 0) & (columns.seen <= 1)).all():
        raise ValueError(f"split {split!r}: completeness outside (0, 1]")
    if not np.isin(columns.label, (0, 1)).all():
        raise ValueError(f"split {split!r}: labels other than 0 and 1")
