"""Which task, or tier of a task, an example belongs to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from components.trainer.data.columns import Columns


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
