"""The wide part in the network: what the fit found, as each tower's own variables."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from components.trainer.wide.weights import Weights
from components.transform.layout import FeatureLayout


class WideTower(tf.Module):
    """One tower's linear logit: one gather, one product, and an intercept.

    What towers share in the fit is added to what each has of its own, so that a tower's path holds
    no weight of another. The variables change by `assign` alone: training leaves them.

    Attributes:
      ids: float32 [rows of all fields], the fields' rows one after another.
      numbers: float32 [numeric width, 1].
      bias: float32 [1].
    """

    def __init__(self, layout: FeatureLayout, *, scope: str) -> None:
        super().__init__()
        rows = np.asarray(layout.rows, np.int64)
        self._first = np.cumsum(rows) - rows

        def zeros(name: str, *shape: int) -> tf.Variable:
            return tf.Variable(tf.zeros(shape), trainable=False, name=f"{scope}/wide/{name}")

        self.ids = zeros("ids", int(rows.sum()))
        self.numbers = zeros("numbers", layout.numeric_width, 1)
        self.bias = zeros("bias", 1)

    def __call__(self, ids: tf.Tensor, nums: tf.Tensor) -> tf.Tensor:
        """Logits, float32 [batch]; inputs as in `TowerPath`."""
        weights = tf.gather(self.ids, tf.cast(ids, tf.int64) + self._first)
        of_numbers = tf.squeeze(tf.matmul(nums, self.numbers), axis=1)
        return tf.reduce_sum(weights, axis=1) + of_numbers + self.bias

    def take(self, weights: Weights, tower: int) -> None:
        """Sets the variables to the sums of what a fit found for one of its towers."""
        fields = [of_towers[tower] for of_towers in weights.of_fields]
        *numbers, bias = weights.of_numbers[tower]
        self.ids.assign(np.concatenate([*fields, np.empty(0)]))
        self.numbers.assign(np.reshape(numbers, (-1, 1)))
        self.bias.assign([bias])
