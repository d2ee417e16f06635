"""The batches of a training, from any step on."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from itertools import islice

import numpy as np

from components.trainer.data.batches import Batch, batches_per_epoch, shuffled_batches
from components.trainer.data.columns import Columns
from components.trainer.data.sampling import sample_negatives
from components.trainer.settings import ModelSettings, TrainingSettings


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
