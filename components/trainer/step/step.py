"""One training step as one graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from common.arrays import Floats32, Ints32
from components.trainer.data.batches import Batch
from components.trainer.data.sampling import logit_shifts
from components.trainer.network.network import TwoTowerDCN
from components.trainer.network.stack import Forward
from components.trainer.settings import LossSettings, TrainingSettings
from components.trainer.step.loss import Losses, Observed, multi_task_loss
from components.trainer.step.optimizer import Adam, RowGradient
from components.transform.layout import FeatureLayout

BatchTensors = tuple[tf.Tensor, ...]
"""A `Batch` as tensors, in its order."""


def batch_specs(layout: FeatureLayout, tasks: int) -> tuple[tf.TensorSpec, ...]:
    """Types and shapes of a `Batch`, in its order."""
    return (
        tf.TensorSpec([None, len(layout.categorical)], tf.int32, "ids"),
        tf.TensorSpec([None, layout.numeric_width], tf.float32, "nums"),
        tf.TensorSpec([None], tf.float32, "label"),
        tf.TensorSpec([tasks], tf.int32, "counts"),
        tf.TensorSpec([None], tf.float32, "weight"),
        tf.TensorSpec([None], tf.float32, "completeness"),
        tf.TensorSpec([None], tf.float32, "offset"),
    )


class Course(NamedTuple):
    """What a training's steps know of its examples as a whole.

    Attributes:
      last_step: at which decaying rates are to reach zero; none keeps them as they are.
      pulls: float32 [rows] a table, what a row is multiplied by and added to its gradient in each
        step that uses it; none pulls nothing.
    """

    last_step: int | None = None
    pulls: Sequence[Floats32] | None = None


WITHOUT_END = Course()


def row_pulls(network: TwoTowerDCN, ids: Ints32, batch_size: int) -> list[Floats32] | None:
    """Pulls of `embedding_l2`, for `Course`; none where it is 0.

    The loss of a step is a mean over examples, so that of n examples the ridge penalty adds
    embedding_l2 / n times the row to every step's gradient. A row is pulled only in the steps that
    use it, which of a row used by m examples are a share 1 - (1 - m / n)^batch_size of all steps;
    the pull is divided by that share.

    Args:
      network: whose tables, and settings.
      ids: of the examples, int32 [n, features].
      batch_size: examples of a step.
    """
    l2, n = network.settings.embedding_l2, len(ids)
    if not l2:
        return None
    pulls = []
    for uses in network.embedding.uses(ids):
        share = -np.expm1(batch_size * np.log1p(-np.minimum(uses / n, 1 - 1e-12)))
        pulls.append((l2 / n / np.maximum(share, 1 / n)).astype(np.float32))
    return pulls


class TrainStep(tf.Module):
    """Forward, backward and update, traced once for batches of any size.

    Attributes:
      network, optimizer: what a checkpoint must hold to resume; the step count is the
        optimizer's.
    """

    def __init__(
        self,
        network: TwoTowerDCN,
        loss: LossSettings,
        training: TrainingSettings,
        course: Course = WITHOUT_END,
    ) -> None:
        """Takes the network, settings, and what is known of the whole training."""
        super().__init__()
        self.network = network
        self.optimizer = Adam(
            network.dense_variables, network.embedding.tables, training, course.last_step
        )
        self._loss = loss if len(network.towers) > 1 else None
        self._dtype = tf.bfloat16 if training.precision == "bfloat16" else tf.float32
        self._routed = training.routed
        self._pulls = None if course.pulls is None else [tf.constant(p) for p in course.pulls]
        self._shifts = logit_shifts(training.sampling, network.settings.mode)
        specs = batch_specs(network.layout, len(network.settings.tasks))
        self._run = tf.function(self._step, input_signature=specs)

    def __call__(self, batch: Batch) -> Losses:
        """Takes one step; the losses are from before the update."""
        return Losses(*self._run(*batch))

    def gradients(
        self, batch: Batch | BatchTensors
    ) -> tuple[Losses, list[tf.Tensor], list[RowGradient]]:
        """The batch's losses and their gradients.

        Returns:
          The losses; a gradient for each of `network.dense_variables`; one for each table.
        """
        losses, dense, tables = self.loss_gradients(batch)
        return losses, dense, self.regularized(tables)

    def loss_gradients(
        self,
        batch: Batch | BatchTensors,
        *,
        whole: tf.Tensor | None = None,
        dropout_step: tf.Tensor | None = None,
    ) -> tuple[Losses, list[tf.Tensor], list[RowGradient]]:
        """As `gradients`, of the loss alone: without the pull of `embedding_l2`.

        Args:
          batch: a batch, or one replica's share of it.
          whole: what the loss divides by, for a share; see `multi_task_loss`.
          dropout_step: int64 scalar that seeds dropout; none is the optimizer's step.
        """
        ids, nums, label, counts, weight, completeness, offset = batch
        dense = list(self.network.dense_variables)
        lookups = self.network.embedding.lookup(ids)
        rows = [lookup.rows for lookup in lookups]
        if dropout_step is None:
            dropout_step = self.optimizer.step.read_value()
        forward = Forward(self._dtype, dropout_step)
        seen = Observed(label, tf.range(tf.size(label)) < counts[0], weight, completeness)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([*dense, *rows])
            logit = self.network.own_logit(ids, lookups, nums, counts, forward, routed=self._routed)
            losses = multi_task_loss(logit + offset, seen, self._loss, self._shifts, whole)
        of_dense, of_rows = tape.gradient(losses.total, (dense, rows))
        of_tables = []
        for lookup, slices in zip(lookups, of_rows, strict=True):
            values = tf.math.unsorted_segment_sum(
                slices.values, slices.indices, tf.size(lookup.unique)
            )
            of_tables.append(RowGradient(lookup.unique, values))
        return losses, of_dense, of_tables

    def regularized(self, tables: Sequence[RowGradient]) -> list[RowGradient]:
        """Adds the pull to zero of each row that a batch uses."""
        if self._pulls is None:
            return list(tables)
        return [
            RowGradient(g.rows, g.values + tf.gather(pull, g.rows)[:, None] * tf.gather(x, g.rows))
            for x, pull, g in zip(self.network.embedding.tables, self._pulls, tables, strict=True)
        ]

    def _step(self, *batch: tf.Tensor) -> BatchTensors:
        losses, dense, tables = self.gradients(batch)
        self.optimizer.apply(dense, tables)
        return tuple(losses)
