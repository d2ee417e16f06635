"""Shuffled batches of columns, at a memory that does not grow with them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from common.arrays import Indices
from components.trainer.data.columns import Columns, task_numbers
from components.trainer.data.sampling import sample_negatives
from components.trainer.settings import ModelSettings, TrainingSettings

RUN = 1024
"""Consecutive examples that come into a window together: enough to be read at once."""

WINDOW = 2**18
"""Examples that are shuffled among one another. A log of no more is one window."""


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


class Window(NamedTuple):
    """Batches in a row, made of examples that are read together.

    Attributes:
      runs: rows of the examples.
      batches: of each batch, places of its examples in the joined runs.
    """

    runs: list[slice]
    batches: list[Indices]


def shuffled_windows(
    examples: int, batch_size: int, *, seed: int, epoch: int, first: int = 0
) -> Iterator[Window]:
    """An epoch's batches: all rows once, in an order that seed and epoch decide.

    Runs of `RUN` consecutive rows are put in a random order and cut into windows of about `WINDOW`
    rows, within which all rows are shuffled; so that what lies on disk is read in runs, and what is
    held of it is a window. Sizes of batches differ by one at most, so that no small last batch
    makes a noisy step.

    Args:
      examples: how many rows there are.
      batch_size: largest number of examples in a batch.
      seed, epoch: what decides the order.
      first: number of the first batch that is wanted; the window that holds it begins with it.
    """
    count = batches_per_epoch(examples, batch_size)
    ends = np.cumsum([examples // count + (i < examples % count) for i in range(count)])
    starts = np.concatenate([[0], ends[:-1]])
    a_window = max(1, WINDOW // batch_size) if examples > WINDOW else count
    runs = _Runs.shuffled(examples, seed=seed, epoch=epoch) if a_window < count else None
    for window in range(first // a_window, math.ceil(count / a_window)):
        of = slice(window * a_window, min((window + 1) * a_window, count))
        begin, end = int(starts[of][0]), int(ends[of][-1])
        # Trailing zeros change nothing of a seed: windows are counted from 1, runs are 0.
        words = [seed, epoch] if runs is None else [seed, epoch, window + 1]
        order = np.random.default_rng(words).permutation(end - begin)
        batches = np.split(order, ends[of][:-1] - begin)
        yield Window(
            [slice(begin, end)] if runs is None else runs.between(begin, end),
            batches[max(0, first - of.start) :],
        )


class _Runs:
    """Rows in runs, the runs in another order."""

    def __init__(self, starts: Indices, examples: int) -> None:
        self._starts = starts
        self._ends = np.minimum(starts + RUN, examples)
        self._reached = np.cumsum(self._ends - self._starts)

    @classmethod
    def shuffled(cls, examples: int, *, seed: int, epoch: int) -> _Runs:
        order = np.random.default_rng([seed, epoch]).permutation(math.ceil(examples / RUN))
        return cls(order * RUN, examples)

    def between(self, begin: int, end: int) -> list[slice]:
        """The rows at the places from `begin` up to `end` of the order."""
        runs = []
        run = int(np.searchsorted(self._reached, begin, side="right"))
        while begin < end:
            ahead = int(self._reached[run]) - begin
            last = int(self._ends[run])
            length = min(ahead, end - begin)
            runs.append(slice(last - ahead, last - ahead + length))
            begin += length
            run += 1
        return runs


def shuffled_batches(
    columns: Columns,
    batch_size: int,
    *,
    seed: int,
    epoch: int,
    first: int = 0,
    boundaries: Sequence[float] = (),
    offset: npt.NDArray[np.float32] | None = None,
) -> Iterator[Batch]:
    """The batches of one epoch, see `shuffled_windows`.

    Args:
      columns: the examples.
      batch_size, seed, epoch: what decides the rows.
      first: number of the first batch that is wanted.
      boundaries: `ModelSettings.tier_boundaries`.
      offset: of the examples, see `Batch`.
    """
    windows = shuffled_windows(len(columns), batch_size, seed=seed, epoch=epoch, first=first)
    for runs, batches in windows:
        held = columns.runs(runs)
        of_held = None if offset is None else np.concatenate([offset[run] for run in runs])
        columns.storage.release()
        tasks = task_numbers(held, boundaries)
        for rows in batches:
            yield batch_of(held, tasks, rows, number_of_tasks=len(boundaries) + 2, offset=of_held)


def batch_of(
    columns: Columns,
    tasks: npt.NDArray[np.uint8],
    rows: Indices,
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
        self._of_mode = columns.hard if model.mode == "hard_only" else None
        kept = sample_negatives(
            of_the_mode(columns, model), training.sampling, model.mode, training.seed
        )
        self._kept = kept.mask
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
            yield from shuffled_batches(
                self.examples,
                self._training.batch_size,
                seed=self._training.seed,
                epoch=epoch,
                first=within if epoch == done else 0,
                boundaries=self._model.tier_boundaries,
                offset=self.offset,
            )

    def rows(self, step: int) -> Indices:
        """Row numbers in the training split of the examples in a step's batch; steps from 1."""
        epoch, place = divmod(step - 1, self.per_epoch)
        size, seed = self._training.batch_size, self._training.seed
        windows = shuffled_windows(len(self.examples), size, seed=seed, epoch=epoch, first=place)
        runs, batches = next(windows)
        rows = np.concatenate([np.arange(run.start, run.stop) for run in runs])[batches[0]]
        for mask in (self._kept, self._of_mode):
            rows = rows if mask is None else np.flatnonzero(mask)[rows]
        return rows


def of_the_mode(columns: Columns, model: ModelSettings) -> Columns:
    """The examples that a network of this mode learns from."""
    return columns.take(columns.hard) if model.mode == "hard_only" else columns
