"""The wide part in the network: what the fit found, as each tower's own variables."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from components.trainer.wide.weights import KNOWN, Newcomers, Weights
from components.transform.layout import FeatureLayout


class WideTower(tf.Module):
    """One tower's linear logit: one gather, one product, and an intercept.

    What towers share in the fit is added to what each has of its own, so that a tower's path holds
    no weight of another. The variables change by `assign` alone: training leaves them.

    Attributes:
      ids: float32 [rows of all fields, 1 or 3], the fields' rows one after another. Columns: the
        weight; the weight for newcomers, advertisers that training has not seen; and
        `Newcomers.known`.
      numbers: float32 [numeric width, 1 or 2].
      bias: float32 [1 or 2].
    """

    def __init__(self, layout: FeatureLayout, *, scope: str, newcomers: bool = False) -> None:
        super().__init__()
        rows = np.asarray(layout.rows, np.int64)
        self._first = np.cumsum(rows) - rows
        self._newcomers = newcomers
        columns = 2 if newcomers else 1

        def zeros(name: str, *shape: int) -> tf.Variable:
            return tf.Variable(tf.zeros(shape), trainable=False, name=f"{scope}/wide/{name}")

        self.ids = zeros("ids", int(rows.sum()), 3 if newcomers else 1)
        self.numbers = zeros("numbers", layout.numeric_width, columns)
        self.bias = zeros("bias", columns)

    def __call__(self, ids: tf.Tensor, nums: tf.Tensor) -> tf.Tensor:
        """Logits, float32 [batch]; inputs as in `TowerPath`."""
        weights = tf.gather(self.ids, tf.cast(ids, tf.int64) + self._first)
        of_ids = tf.reduce_sum(weights, axis=1)
        of_numbers = tf.matmul(nums, self.numbers) + self.bias
        if not self._newcomers:
            return tf.squeeze(of_ids + of_numbers, axis=1)
        known = of_ids[:, 2] > KNOWN
        return tf.where(known, of_ids[:, 0] + of_numbers[:, 0], of_ids[:, 1] + of_numbers[:, 1])

    def take(self, weights: Weights, tower: int, newcomers: Newcomers | None = None) -> None:
        """Sets the variables to the sums of what a fit found for one of its towers.

        Args:
          weights: of the fit.
          tower: its number there.
          newcomers: of the fit, where the tower has them.
        """
        columns = [weights] if newcomers is None else [weights, newcomers.weights]
        ids = [np.concatenate([*(w[tower] for w in c.of_fields), np.empty(0)]) for c in columns]
        if newcomers is not None:
            ids.append(np.concatenate([*newcomers.known, np.empty(0)]))
        numbers = np.stack([c.of_numbers[tower] for c in columns], axis=1)
        self.ids.assign(np.stack(ids, axis=1))
        self.numbers.assign(numbers[:-1])
        self.bias.assign(numbers[-1])
