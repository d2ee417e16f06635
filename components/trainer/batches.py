"""Shuffled batches from columns in memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from components.trainer.columns import Columns


class Batch(NamedTuple):
    """Examples of one step, the hard ones first.

    Attributes:
      ids, nums, label: as in `Columns`.
      hard_count: how many examples are hard; int32 scalar.
    """

    ids: npt.NDArray[np.int32]
    nums: npt.NDArray[np.float32]
    label: npt.NDArray[np.float32]
    hard_count: np.int32


def batches_per_epoch(examples: int, batch_size: int) -> int:
    return math.ceil(examples / batch_size)


def shuffled_batches(
    columns: Columns, batch_size: int, *, seed: int, epoch: int
) -> Iterator[Batch]:
    """All examples once, in an order that seed and epoch decide.

    Sizes differ by one at most, so that no small last batch makes a noisy step.
    """
    order = np.random.default_rng([seed, epoch]).permutation(len(columns))
    for rows in np.array_split(order, batches_per_epoch(len(columns), batch_size)):
        is_hard = columns.hard[rows]
        sorted_rows = np.concatenate([rows[is_hard], rows[~is_hard]])
        yield Batch(
            columns.ids[sorted_rows],
            columns.nums[sorted_rows],
            columns.label[sorted_rows],
            np.int32(is_hard.sum()),
        )
