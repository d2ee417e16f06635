"""Shuffled batches from columns in memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from components.trainer.data.columns import Columns, task_numbers
from components.trainer.data.sampling import sample_negatives
from components.trainer.settings import ModelSettings, TrainingSettings


class Batch(NamedTuple):
    """Examples of one step by task: the hard ones first, then soft tiers by ascending CVR.

    Attributes:
      ids, nums, label: as in `Columns`.
      counts: int32 [tasks], how many examples each of `ModelSettings.tasks` has; the first is the
        number of hard ones.
      weight, completeness: as in `Columns`, ones where those have none.
      offset: float32 [n], added to what the layers say; zeros without a wide part.
    """

    ids: npt.NDArray[np.int32]
    nums: npt.NDArray[np.float32]
    label: npt.NDArray[np.float32]
    counts: npt.NDArray[np.int32]
    weight: npt.NDArray[np.float32]
    completeness: npt.NDArray[np.float32]
    offset: npt.NDArray[np.float32]


def batches_per_epoch(examples: int, batch_size: int) -> int:
    return math.ceil(examples / batch_size)


def shuffled_rows(
    examples: int, batch_size: int, *, seed: int, epoch: int
) -> list[npt.NDArray[np.intp]]:
    """Row numbers of an epoch's batches: all rows once, in an order that seed and epoch decide.

    Sizes differ by one at most, so that no small last batch makes a noisy step.

    Args:
      examples: how many rows there are.
      batch_size: largest number of examples in a batch.
      seed, epoch: what decides the order.
    """
    order = np.random.default_rng([seed, epoch]).permutation(examples)
    return np.array_split(order, batches_per_epoch(examples, batch_size))


def shuffled_batches(
    columns: Columns,
    batch_size: int,
    *,
    seed: int,
    epoch: int,
    boundaries: Sequence[float] = (),
    offset: npt.NDArray[np.float32] | None = None,
) -> Iterator[Batch]:
    """The batches of one epoch, see `shuffled_rows`.

    Args:
      columns: the examples.
      batch_size, seed, epoch: what decides the rows.
      boundaries: `ModelSettings.tier_boundaries`.
      offset: of the examples, see `Batch`.
    """
    tasks = task_numbers(columns, boundaries)
    for rows in shuffled_rows(len(columns), batch_size, seed=seed, epoch=epoch):
        yield batch_of(columns, tasks, rows, number_of_tasks=len(boundaries) + 2, offset=offset)


def batch_of(
    columns: Columns,
    tasks: npt.NDArray[np.uint8],
    rows: npt.NDArray[np.intp],
    *,
    number_of_tasks: int,
    offset: npt.NDArray[np.float32] | None = None,
) -> Batch:
    """The examples of the given rows as one batch; within a task they keep the order of `rows`.

    Args:
      columns: the examples.
      tasks: uint8 [n], `task_numbers` of all of them.
      rows: row numbers, at least one.
      number_of_tasks: length of `ModelSettings.tasks`.
      offset: of all the examples, see `Batch`.
    """
    tasks = tasks[rows]
    rows = rows[np.argsort(tasks, kind="stable")]
    ones = np.ones(len(rows), np.float32)
    return Batch(
        columns.ids[rows],
        columns.nums[rows],
        columns.label[rows],
        np.bincount(tasks, minlength=number_of_tasks).astype(np.int32),
        ones if columns.weight is None else columns.weight[rows],
        ones if columns.completeness is None else columns.completeness[rows],
        np.zeros(len(rows), np.float32) if offset is None else offset[rows],
    )


class Feed:
    """The training split as one training sees it: a function of the settings and their seed.

    Attributes:
      examples: those it is made of.
      per_epoch: batches of one pass.
      offset: float32 [n], of the examples, see `Batch`; none is 0 for all.
    """

    def __init__(self, columns: Columns, model: ModelSettings, training: TrainingSettings) -> None:
        self._model = model
        self._training = training
        kept = sample_negatives(
            of_the_mode(columns, model), training.sampling, model.mode, training.seed
        )
        of_mode = np.flatnonzero(columns.hard) if model.mode == "hard_only" else None
        self._rows = kept.rows if of_mode is None else of_mode[kept.rows]
        self.examples = kept.columns
        self.per_epoch = batches_per_epoch(len(self.examples), training.batch_size)
        self.offset: npt.NDArray[np.float32] | None = None

    @property
    def last_step(self) -> int:
        """Number of batches in all epochs."""
        return self.per_epoch * self._training.epochs

    def after(self, step: int) -> Iterator[Batch]:
        """The batches of all epochs, without the first `step` of them."""
        done, within = divmod(step, self.per_epoch)
        for epoch in range(done, self._training.epochs):
            batches = shuffled_batches(
                self.examples,
                self._training.batch_size,
                seed=self._training.seed,
                epoch=epoch,
                boundaries=self._model.tier_boundaries,
                offset=self.offset,
            )
            yield from islice(batches, within if epoch == done else 0, None)

    def rows(self, step: int) -> npt.NDArray[np.intp]:
        """Row numbers in the training split of the examples in a step's batch; steps from 1."""
        epoch, place = divmod(step - 1, self.per_epoch)
        size, seed = self._training.batch_size, self._training.seed
        batches = shuffled_rows(len(self.examples), size, seed=seed, epoch=epoch)
        return self._rows[batches[place]]


def of_the_mode(columns: Columns, model: ModelSettings) -> Columns:
    """The examples that a network of this mode learns from."""
    return columns.take(columns.hard) if model.mode == "hard_only" else columns
