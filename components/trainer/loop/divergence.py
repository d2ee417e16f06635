"""A loss that stops being finite, told so that one can look for the cause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from common.arrays import Indices
from components.trainer.data.columns import Columns
from components.trainer.settings import TrainingSettings
from schemas.errors import InputError

ROWS_SHOWN = 3


@dataclass(frozen=True)
class Place:
    """A batch of a training.

    Attributes:
      step: from 1.
      epoch: from 1.
      batch: its number in the epoch, from 1.
      batches: batches of an epoch.
    """

    step: int
    epoch: int
    batch: int
    batches: int

    @classmethod
    def of(cls, step: int, batches: int) -> Place:
        epoch, batch = divmod(step - 1, batches)
        return cls(step, epoch + 1, batch + 1, batches)

    def __str__(self) -> str:
        return f"step {self.step} (epoch {self.epoch}, batch {self.batch} of {self.batches})"


def diverged(
    loss: float,
    place: Place,
    training: TrainingSettings,
    checkpoint: str | None,
    seen: str,
) -> InputError:
    """The error of a training whose loss is not finite.

    Args:
      loss: its value.
      place: where.
      training: settings.
      checkpoint: the last good one, if any.
      seen: what the loss was taken over.
    """
    saved = f"last good checkpoint {checkpoint}" if checkpoint else "no checkpoint yet"
    return InputError(
        f"training.learning_rate {training.learning_rate}: the loss is {loss} at {place}, {seen}; "
        f"{saved}; wanted a finite loss (lower the learning rate, or look for extreme numeric "
        "features)"
    )


def batch_in_words(columns: Columns, rows: Indices, numeric: Sequence[str]) -> str:
    """The first rows of a batch and its most extreme numeric feature.

    Args:
      columns: the training split.
      rows: numbers of the batch's rows in it, at least one.
      numeric: names of the numeric features.
    """
    shown = ", ".join(str(row) for row in rows[:ROWS_SHOWN])
    more = ", ..." if len(rows) > ROWS_SHOWN else ""
    text = f"rows {shown}{more} of the training split"
    if not numeric:
        return text
    values = columns.nums[rows, : len(numeric)]
    place, feature = divmod(int(np.argmax(np.abs(values))), len(numeric))
    extreme = values[place, feature]
    return (
        f"{text}, the batch's most extreme number is {extreme:.4g} "
        f"(feature {numeric[feature]!r}, row {rows[place]})"
    )
