"""One training step as one graph."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from components.trainer.data.batches import Batch
from components.trainer.data.sampling import logit_shifts
from components.trainer.network.network import TwoTowerDCN
from components.trainer.network.stack import Forward
from components.trainer.settings import LossSettings, TrainingSettings
from components.trainer.step.loss import Losses, multi_task_loss
from components.trainer.step.optimizer import Adam, RowGradient


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
        self._shifts = logit_shifts(training.sampling, network.settings.mode)
        layout = network.layout
        specs = (
            tf.TensorSpec([None, len(layout.categorical)], tf.int32, "ids"),
            tf.TensorSpec([None, layout.numeric_width], tf.float32, "nums"),
            tf.TensorSpec([None], tf.float32, "label"),
            tf.TensorSpec([len(network.settings.tasks)], tf.int32, "counts"),
        )
        weight = tf.TensorSpec([None], tf.float32, "weight")
        self._run = tf.function(self._step, input_signature=specs)
        self._run_weighted = tf.function(self._step, input_signature=(*specs, weight))

    def __call__(self, batch: Batch) -> Losses:
        """Takes one step; the losses are from before the update."""
        if batch.weight is None:
            return Losses(*self._run(batch.ids, batch.nums, batch.label, batch.counts))
        return Losses(*self._run_weighted(*batch))

    def gradients(
        self,
        ids: tf.Tensor,
        nums: tf.Tensor,
        label: tf.Tensor,
        counts: tf.Tensor,
        weight: tf.Tensor | None = None,
    ) -> tuple[Losses, list[tf.Tensor], list[RowGradient]]:
        """The batch's losses and their gradients.

        Returns:
          The losses; a gradient for each of `network.dense_variables`; one for each table.
        """
        losses, dense, tables = self.loss_gradients(ids, nums, label, counts, weight)
        return losses, dense, self.regularized(tables)

    def loss_gradients(
        self,
        ids: tf.Tensor,
        nums: tf.Tensor,
        label: tf.Tensor,
        counts: tf.Tensor,
        weight: tf.Tensor | None = None,
        *,
        whole: tf.Tensor | None = None,
        dropout_step: tf.Tensor | None = None,
    ) -> tuple[Losses, list[tf.Tensor], list[RowGradient]]:
        """As `gradients`, of the loss alone: without the pull of `embedding_l2`.

        Args:
          ids, nums, label, counts, weight: a batch, or one replica's share of it.
          whole: what the loss divides by, for a share; see `multi_task_loss`.
          dropout_step: int64 scalar that seeds dropout; none is the optimizer's step.
        """
        dense = list(self.network.dense_variables)
        lookups = self.network.embedding.lookup(ids)
        rows = [found.rows for found in lookups]
        if dropout_step is None:
            dropout_step = self.optimizer.step.read_value()
        forward = Forward(self._dtype, dropout_step)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([*dense, *rows])
            logit = self.network.own_logit(ids, lookups, nums, counts, forward, routed=self._routed)
            is_hard = tf.range(tf.size(label)) < counts[0]
            losses = multi_task_loss(logit, label, is_hard, self._loss, weight, self._shifts, whole)
        of_dense, of_rows = tape.gradient(losses.total, (dense, rows))
        of_tables = []
        for found, slices in zip(lookups, of_rows, strict=True):
            values = tf.math.unsorted_segment_sum(
                slices.values, slices.indices, tf.size(found.unique)
            )
            of_tables.append(RowGradient(found.unique, values))
        return losses, of_dense, of_tables

    def regularized(self, tables: Sequence[RowGradient]) -> list[RowGradient]:
        """Adds `embedding_l2` times the row to the gradient of each row that a batch uses."""
        l2 = self.network.settings.embedding_l2
        if not l2:
            return list(tables)
        return [
            RowGradient(g.rows, g.values + l2 * tf.gather(table, g.rows))
            for table, g in zip(self.network.embedding.tables, tables, strict=True)
        ]

    def _step(
        self,
        ids: tf.Tensor,
        nums: tf.Tensor,
        label: tf.Tensor,
        counts: tf.Tensor,
        weight: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, ...]:
        losses, dense, tables = self.gradients(ids, nums, label, counts, weight)
        self.optimizer.apply(dense, tables)
        return tuple(losses)
