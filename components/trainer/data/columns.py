"""Training data as columns in memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


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
    """

    ids: npt.NDArray[np.int32]
    nums: npt.NDArray[np.float32]
    label: npt.NDArray[np.float32]
    hard: npt.NDArray[np.bool_]
    cvr: npt.NDArray[np.float32]
    weight: npt.NDArray[np.float32] | None = None

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
        )
