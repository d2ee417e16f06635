"""One training step as one graph."""

from __future__ import annotations

import tensorflow as tf

from components.trainer.batches import Batch
from components.trainer.loss import Losses, multi_task_loss
from components.trainer.network import TwoTowerDCN
from components.trainer.optimizer import Adam, RowGradient
from components.trainer.settings import LossSettings, TrainingSettings
from components.trainer.stack import Forward


class TrainStep(tf.Module):
    """Forward, backward and update, traced once for batches of any size.

    Attributes:
      network, optimizer: what a checkpoint must hold to resume; the step count is the
        optimizer's.
    """

    def __init__(
        self, network: TwoTowerDCN, loss: LossSettings, training: TrainingSettings
    ) -> None:
        super().__init__()
        self.network = network
        self.optimizer = Adam(network.dense_variables, network.embedding.tables, training)
        self._loss = loss if len(network.towers) > 1 else None
        self._dtype = tf.bfloat16 if training.precision == "bfloat16" else tf.float32
        self._routed = training.routed
        layout = network.layout
        self._run = tf.function(
            self._step,
            input_signature=(
                tf.TensorSpec([None, len(layout.categorical)], tf.int32, "ids"),
                tf.TensorSpec([None, layout.numeric_width], tf.float32, "nums"),
                tf.TensorSpec([None], tf.float32, "label"),
                tf.TensorSpec([], tf.int32, "hard_count"),
            ),
        )

    def __call__(self, batch: Batch) -> Losses:
        """Takes one step; the losses are from before the update."""
        return Losses(*self._run(batch.ids, batch.nums, batch.label, batch.hard_count))

    def gradients(
        self, ids: tf.Tensor, nums: tf.Tensor, label: tf.Tensor, hard_count: tf.Tensor
    ) -> tuple[Losses, list[tf.Tensor], list[RowGradient]]:
        """The batch's losses and their gradients.

        Returns:
          The losses; a gradient for each of `network.dense_variables`; one for each table.
        """
        dense = list(self.network.dense_variables)
        lookups = self.network.embedding.lookup(ids)
        rows = [found.rows for found in lookups]
        forward = Forward(self._dtype, self.optimizer.step.read_value())
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([*dense, *rows])
            logit = self.network.own_logit(
                ids, lookups, nums, hard_count, forward, routed=self._routed
            )
            is_hard = tf.range(tf.size(label)) < hard_count
            losses = multi_task_loss(logit, label, is_hard, self._loss)
        of_dense, of_rows = tape.gradient(losses.total, (dense, rows))
        l2 = self.network.settings.embedding_l2
        of_tables = []
        for found, slices in zip(lookups, of_rows, strict=True):
            values = tf.math.unsorted_segment_sum(
                slices.values, slices.indices, tf.size(found.unique)
            )
            of_tables.append(RowGradient(found.unique, values + l2 * found.rows if l2 else values))
        return losses, of_dense, of_tables

    def _step(
        self, ids: tf.Tensor, nums: tf.Tensor, label: tf.Tensor, hard_count: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        losses, dense, tables = self.gradients(ids, nums, label, hard_count)
        self.optimizer.apply(dense, tables)
        return tuple(losses)
