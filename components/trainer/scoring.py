"""Predictions of a network in memory, over columns."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from scipy.special import expit

from components.trainer.columns import Columns
from components.trainer.network import TwoTowerDCN


class Scorer:
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
        found = np.empty(len(columns), np.float32)
        for first in range(0, len(columns), self._batch_size):
            part = slice(first, first + self._batch_size)
            found[part] = self._run(columns.ids[part], columns.nums[part]).numpy()
        return found


def predict(
    network: TwoTowerDCN, tower: str, columns: Columns, batch_size: int = 8192
) -> npt.NDArray[np.float32]:
    """One tower's probabilities of conversion, float32 [n]."""
    return expit(Scorer(network, tower, batch_size).logits(columns))
