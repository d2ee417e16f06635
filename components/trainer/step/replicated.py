"""A training step shared by several replicas of the network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from components.trainer.data.batches import Batch
from components.trainer.step.loss import Losses
from components.trainer.step.optimizer import RowGradient
from components.trainer.step.step import BatchTensors, TrainStep, batch_specs


class WorkerLostError(RuntimeError):
    """Another worker of the cluster ended or cannot be reached; this one cannot go on alone."""


class ReplicatedStep:
    """The same step as `TrainStep` on the same batch, each replica doing a share of the work.

    Replica r computes the loss of its share, divided by what the whole batch is divided by, and
    its gradients; these are summed over the replicas. Gradients of layers are all-reduced. Those
    of tables are gathered as (rows, values), and rows that several replicas use are summed, so
    that Adam meets each row once with the batch's gradient. Every replica then takes the same
    step on its own copy of the variables. The result is that of one replica but for the order of
    sums and for the masks of dropout.
    """

    def __init__(self, step: TrainStep, strategy: tf.distribute.Strategy) -> None:
        """Takes a step whose variables were made in the strategy's scope."""
        self._step = step
        self._strategy = strategy
        self._mine = _local_replicas(strategy)
        network = step.network
        share = (
            *batch_specs(network.layout, len(network.settings.tasks)),
            tf.TensorSpec([2], tf.float32, "whole"),
            tf.TensorSpec([], tf.int32, "replica"),
        )
        self._run = tf.function(self._all, input_signature=((share,) * len(self._mine),))

    def __call__(self, batch: Batch) -> Losses:
        """Takes one step; the losses are the whole batch's, from before the update.

        Raises:
          WorkerLostError: another worker is gone.
        """
        shares = shares_of(batch, self._strategy.num_replicas_in_sync, self._mine)
        arguments = tuple((*share.batch, share.whole, share.replica) for share in shares)
        with worker_errors():
            return Losses(*tf.unstack(self._run(arguments)))

    def _all(self, shares: Sequence[BatchTensors]) -> tf.Tensor:
        """Every replica's part; the losses as one vector."""
        first = self._mine[0]

        def mine(context: tf.distribute.experimental.ValueContext) -> BatchTensors:
            return shares[context.replica_id_in_sync_group - first]

        values = self._strategy.experimental_distribute_values_from_function(mine)
        losses = self._strategy.run(self._replica, args=(values,))
        return self._strategy.experimental_local_results(losses)[0]

    def _replica(self, share: BatchTensors) -> tf.Tensor:
        *batch, whole, replica = share
        step, context = self._step, tf.distribute.get_replica_context()
        replicas = self._strategy.num_replicas_in_sync
        losses, dense, tables = step.loss_gradients(
            tuple(batch),
            whole=whole,
            dropout_step=step.optimizer.step.read_value() * replicas + tf.cast(replica, tf.int64),
        )
        sparse = [
            tf.IndexedSlices(g.values, g.rows, tf.shape(table, tf.int64))
            for g, table in zip(tables, step.network.embedding.tables, strict=True)
        ]
        summed, *rest = context.all_reduce(
            tf.distribute.ReduceOp.SUM, [tf.stack(losses), *dense, *sparse]
        )
        gathered = [_by_row(slices) for slices in rest[len(dense) :]]
        step.optimizer.apply(rest[: len(dense)], step.regularized(gathered))
        return summed


@contextmanager
def worker_errors() -> Iterator[None]:
    """Turns the errors of a collective operation that lost a worker into `WorkerLostError`."""
    try:
        yield
    except (
        tf.errors.AbortedError,
        tf.errors.CancelledError,
        tf.errors.DeadlineExceededError,
        tf.errors.UnavailableError,
    ) as error:
        reason = next((line for line in error.message.splitlines() if "task" in line), "")
        raise WorkerLostError(
            f"another worker of the cluster is gone: {reason or error.message}; start all workers "
            "again, they go on from the last checkpoint"
        ) from error


def _local_replicas(strategy: tf.distribute.Strategy) -> tuple[int, ...]:
    """Ranks of this process's replicas among all."""

    def rank(context: tf.distribute.experimental.ValueContext) -> tf.Tensor:
        return tf.constant(context.replica_id_in_sync_group)

    values = strategy.experimental_distribute_values_from_function(rank)
    return tuple(int(v) for v in strategy.experimental_local_results(values))


def _by_row(slices: tf.IndexedSlices) -> RowGradient:
    rows, position = tf.unique(slices.indices)
    return RowGradient(rows, tf.math.unsorted_segment_sum(slices.values, position, tf.size(rows)))


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
    shares = []
    for replica in mine:
        first = starts + batch.counts * replica // replicas
        last = starts + batch.counts * (replica + 1) // replicas
        rows = np.concatenate([np.arange(a, b) for a, b in zip(first, last, strict=True)])
        part = Batch(
            batch.ids[rows],
            batch.nums[rows],
            batch.label[rows],
            (last - first).astype(np.int32),
            batch.weight[rows],
            batch.completeness[rows],
            batch.offset[rows],
        )
        shares.append(Share(part, whole, np.int32(replica)))
    return shares


def _weights(batch: Batch) -> npt.NDArray[np.float32]:
    hard = int(batch.counts[0])
    parts = batch.weight[:hard], batch.weight[hard:]
    return np.array([part.sum(dtype=np.float64) for part in parts], np.float32)
