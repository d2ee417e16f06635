"""Shuffled batches from columns in memory."""

from __future__ import annotations

import dataclasses
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


class Feed:
    """The training split as one training sees it: a function of the settings and their seed.

    Attributes:
      examples: those it is made of.
      per_epoch: batches of one pass.
    """

    def __init__(self, columns: Columns, model: ModelSettings, training: TrainingSettings) -> None:
        self._columns = columns
        self._model = model
        self._training = training
        self.examples = self._chosen(columns)
        self.per_epoch = batches_per_epoch(len(self.examples), training.batch_size)

    def after(self, step: int) -> Iterator[Batch]:
        """The batches of all epochs, without the first `step` of them."""
        return self._batches(self.examples, step)

    def rows(self, step: int) -> list[int]:
        """Row numbers in the training split of the examples in a step's batch; steps from 1."""
        number = np.arange(len(self._columns), dtype=np.int32)[:, None]
        numbered = self._chosen(dataclasses.replace(self._columns, ids=number))
        batch = next(self._batches(numbered, step - 1))
        return [int(row) for row in batch.ids[:, 0]]

    def _chosen(self, columns: Columns) -> Columns:
        of_mode = of_the_mode(columns, self._model)
        sampling, seed = self._training.sampling, self._training.seed
        return sample_negatives(of_mode, sampling, self._model.mode, seed)

    def _batches(self, examples: Columns, skip: int) -> Iterator[Batch]:
        done, within = divmod(skip, self.per_epoch)
        for epoch in range(done, self._training.epochs):
            batches = shuffled_batches(
                examples,
                self._training.batch_size,
                seed=self._training.seed,
                epoch=epoch,
                boundaries=self._model.tier_boundaries,
            )
            yield from islice(batches, within if epoch == done else 0, None)


def of_the_mode(columns: Columns, model: ModelSettings) -> Columns:
    """The examples that a network of this mode learns from."""
    return columns.take(columns.hard) if model.mode == "hard_only" else columns
