"""A batch split over replicas, each tower's examples evenly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from components.trainer.data.batches import Batch


class Share(NamedTuple):
    """What one replica takes of a batch.

    Attributes:
      batch: its examples, by task as in any `Batch`.
      whole: float32 [2], weight of the hard and of the soft examples of the whole batch, which
        the loss divides by: shares' losses and gradients then add up to the batch's.
      replica: int32 scalar, whose share it is; seeds dropout.
    """

    batch: Batch
    whole: npt.NDArray[np.float32]
    replica: np.int32


def shares_of(batch: Batch, replicas: int, mine: Sequence[int]) -> list[Share]:
    """The shares of some replicas, in the order of `mine`.

    Of each task's n examples replica r takes those from n r / replicas on, rounded down, up to
    where the next begins: numbers that differ by one at most, so that towers are as busy on
    every replica. A share may hold no example of a task, or none at all.
    """
    ends = np.cumsum(batch.counts)
    starts = ends - batch.counts
    whole = _weights(batch)
    found = []
    for replica in mine:
        first = starts + batch.counts * replica // replicas
        last = starts + batch.counts * (replica + 1) // replicas
        rows = np.concatenate([np.arange(a, b) for a, b in zip(first, last, strict=True)])
        part = Batch(
            batch.ids[rows],
            batch.nums[rows],
            batch.label[rows],
            (last - first).astype(np.int32),
            None if batch.weight is None else batch.weight[rows],
        )
        found.append(Share(part, whole, np.int32(replica)))
    return found


def _weights(batch: Batch) -> npt.NDArray[np.float32]:
    hard = int(batch.counts[0])
    if batch.weight is None:
        return np.array([hard, len(batch.label) - hard], np.float32)
    parts = batch.weight[:hard], batch.weight[hard:]
    return np.array([part.sum(dtype=np.float64) for part in parts], np.float32)
