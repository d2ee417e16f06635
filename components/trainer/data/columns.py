"""Training data as columns in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from components.trainer.settings import Labels
from components.transform.layout import FeatureLayout
from schemas.errors import InputError


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
    """

    ids: npt.NDArray[np.int32]
    nums: npt.NDArray[np.float32]
    label: npt.NDArray[np.float32]
    hard: npt.NDArray[np.bool_]
    cvr: npt.NDArray[np.float32]
    weight: npt.NDArray[np.float32] | None = None
    completeness: npt.NDArray[np.float32] | None = None

    @property
    def seen(self) -> npt.NDArray[np.float32]:
        """Completeness, ones where there is none."""
        return np.ones_like(self.label) if self.completeness is None else self.completeness

    def __len__(self) -> int:
        return len(self.label)

    def take(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Columns:
        """The examples at the given row numbers, or where the mask is true."""
        return Columns(
            self.ids[rows],
            self.nums[rows],
            self.label[rows],
            self.hard[rows],
            self.cvr[rows],
            None if self.weight is None else self.weight[rows],
            None if self.completeness is None else self.completeness[rows],
        )


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
    enough = columns.seen >= np.float32(least)
    left = columns if enough.all() else columns.take(enough)
    if labels == "corrected" and (left.seen < 1).any():
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
    tier = np.searchsorted(np.asarray(boundaries, np.float32), columns.cvr, side="left")
    return np.where(columns.hard, 0, tier + 1).astype(np.uint8)


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
            f"split {split!r}: none of its {n} examples is hard; wanted at least one "
            "(raise alpha or use a longer period)"
        )
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
                f"split {split!r}: feature {name!r}, row {row} is {columns.nums[row, i]}; "
                "wanted a finite number"
            )
    if not ((columns.seen > 0) & (columns.seen <= 1)).all():
        raise ValueError(f"split {split!r}: completeness outside (0, 1]")
    if not np.isin(columns.label, (0, 1)).all():
        raise ValueError(f"split {split!r}: labels other than 0 and 1")
    if columns.weight is not None and not columns.weight[columns.hard].any():
        raise InputError(
            f"split {split!r}: the weights of all its hard examples are 0; wanted one above 0"
        )
