"""Shuffled batches from columns in memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from components.trainer.data.columns import Columns
from components.trainer.data.tiers import task_numbers


class Batch(NamedTuple):
    """Examples of one step by task: the hard ones first, then soft tiers by ascending CVR.

    Attributes:
      ids, nums, label, weight: as in `Columns`.
      counts: int32 [tasks], how many examples each of `ModelSettings.tasks` has; the first is the
        number of hard ones.
    """

    ids: npt.NDArray[np.int32]
    nums: npt.NDArray[np.float32]
    label: npt.NDArray[np.float32]
    counts: npt.NDArray[np.int32]
    weight: npt.NDArray[np.float32] | None = None


def batches_per_epoch(examples: int, batch_size: int) -> int:
    return math.ceil(examples / batch_size)


def shuffled_batches(
    columns: Columns,
    batch_size: int,
    *,
    seed: int,
    epoch: int,
    boundaries: Sequence[float] = (),
) -> Iterator[Batch]:
    """All examples once, in an order that seed and epoch decide.

    Sizes differ by one at most, so that no small last batch makes a noisy step.

    Args:
      columns: the examples.
      batch_size: largest number of examples in a batch.
      seed, epoch: what decides the order.
      boundaries: `ModelSettings.tier_boundaries`.
    """
    tasks = task_numbers(columns, boundaries)
    order = np.random.default_rng([seed, epoch]).permutation(len(columns))
    for rows in np.array_split(order, batches_per_epoch(len(columns), batch_size)):
        yield batch_of(columns, tasks, rows, number_of_tasks=len(boundaries) + 2)


def batch_of(
    columns: Columns,
    tasks: npt.NDArray[np.uint8],
    rows: npt.NDArray[np.intp],
    *,
    number_of_tasks: int,
) -> Batch:
    """The examples of the given rows as one batch; within a task they keep the order of `rows`.

    Args:
      columns: the examples.
      tasks: uint8 [n], `task_numbers` of all of them.
      rows: row numbers, at least one.
      number_of_tasks: length of `ModelSettings.tasks`.
    """
    tasks = tasks[rows]
    rows = rows[np.argsort(tasks, kind="stable")]
    return Batch(
        columns.ids[rows],
        columns.nums[rows],
        columns.label[rows],
        np.bincount(tasks, minlength=number_of_tasks).astype(np.int32),
        None if columns.weight is None else columns.weight[rows],
    )
