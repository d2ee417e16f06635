"""Checks of training data before anything is trained."""

from __future__ import annotations

import numpy as np

from components.trainer.data.columns import Columns
from components.transform.layout import FeatureLayout
from schemas.errors import InputError


def check_columns(columns: Columns, layout: FeatureLayout, split: str) -> None:
    """Refuses columns that would train silently wrong.

    Raises:
      InputError: the split holds no hard example, or none that weighs anything, or a numeric
        feature that is not finite.
      ValueError: the arrays don't have the layout's shape, an id is outside its feature's table
        (in a fused table it would be another feature's row), or a label is not 0 or 1.
    """
    n = len(columns)
    wanted = {
        "ids": (n, len(layout.categorical)),
        "nums": (n, layout.numeric_width),
        "label": (n,),
        "hard": (n,),
        "cvr": (n,),
    }
    if columns.weight is not None:
        wanted["weight"] = (n,)
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
    if not np.isin(columns.label, (0, 1)).all():
        raise ValueError(f"split {split!r}: labels other than 0 and 1")
    if columns.weight is not None and not columns.weight[columns.hard].any():
        raise InputError(
            f"split {split!r}: the weights of all its hard examples are 0; wanted one above 0"
        )
