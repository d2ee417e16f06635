"""Predictions of a network in memory, over columns."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from scipy.special import expit

from components.trainer.data.columns import Columns, task_numbers
from components.trainer.network.network import TwoTowerDCN


class TowerScorer:
    """One tower's logits in float32, traced once for many calls."""

    def __init__(self, network: TwoTowerDCN, tower: str, batch_size: int) -> None:
        layout = network.layout
        self._batch_size = batch_size
        self._run = tf.function(
            network.path(tower).__call__,
            input_signature=(
                tf.TensorSpec([None, len(layout.categorical)], tf.int32, "ids"),
                tf.TensorSpec([None, layout.numeric_width], tf.float32, "nums"),
            ),
        )

    def logits(self, columns: Columns) -> npt.NDArray[np.float32]:
        """Logits of the examples, float32 [n]."""
        z = np.empty(len(columns), np.float32)
        for first in range(0, len(columns), self._batch_size):
            part = slice(first, first + self._batch_size)
            z[part] = self._run(columns.ids[part], columns.nums[part]).numpy()
            columns.storage.release()
        return z


class OwnTowerScorer:
    """Each example's logit from the tower that learns from its task, traced once a tower."""

    def __init__(self, network: TwoTowerDCN, batch_size: int) -> None:
        self._network = network
        self._scorers = {tower: TowerScorer(network, tower, batch_size) for tower in network.towers}

    def covers(self, columns: Columns) -> bool:
        """Whether every one of the examples has a tower."""
        return all(tower is not None for tower, _ in self._by_tower(columns))

    def of(self, columns: Columns) -> Callable[[], npt.NDArray[np.float32]]:
        """What scores the examples with the weights as they are when it is called.

        Returns:
          A function to logits, float32 [n].

        Raises:
          KeyError: no tower learns from some of the examples.
        """
        parts = [
            (self._scorers[tower or ""], rows, columns.take(rows))
            for tower, rows in self._by_tower(columns)
        ]

        def logits() -> npt.NDArray[np.float32]:
            z = np.empty(len(columns), np.float32)
            for scorer, rows, part in parts:
                z[rows] = scorer.logits(part)
            return z

        return logits

    def _by_tower(self, columns: Columns) -> list[tuple[str | None, npt.NDArray[np.intp]]]:
        """Row numbers of the examples that each tower learns from, where there are any."""
        settings = self._network.settings
        numbers = task_numbers(columns, settings.tier_boundaries)
        by_task = [
            (self._network.tower_of(task), np.flatnonzero(numbers == i))
            for i, task in enumerate(settings.tasks)
        ]
        return [(tower, rows) for tower, rows in by_task if len(rows)]


def predict(
    network: TwoTowerDCN, tower: str, columns: Columns, batch_size: int = 8192
) -> npt.NDArray[np.float32]:
    """One tower's probabilities of conversion, float32 [n]."""
    return expit(TowerScorer(network, tower, batch_size).logits(columns))
