"""The ways to run the same training step in the race of `benchmarks.strategies`."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext

import tensorflow as tf

from benchmarks.contestants import training_task as race
from benchmarks.contestants.train_hardtower import columns
from benchmarks.contestants.training_network import layout, model
from components.trainer.data.batches import Batch, shuffled_batches
from components.trainer.network.network import TwoTowerDCN
from components.trainer.network.stack import Forward
from components.trainer.settings import LossSettings, TrainingSettings
from components.trainer.step.loss import Losses, Observed, multi_task_loss
from components.trainer.step.optimizer import RowGradient
from components.trainer.step.replicated import ReplicatedStep
from components.trainer.step.step import BatchTensors, TrainStep


class CompiledStep(TrainStep):
    """Everything between the embeddings and their gradient in one XLA program.

    Unrouted: XLA compiles anew for each number of hard examples.
    """

    def __init__(
        self, network: TwoTowerDCN, loss: LossSettings, training: TrainingSettings
    ) -> None:
        super().__init__(network, loss, training)
        self._compiled = tf.function(self._dense_part, jit_compile=True)

    def loss_gradients(  # type: ignore[override]
        self, batch: BatchTensors
    ) -> tuple[Losses, list[tf.Tensor], list[RowGradient]]:
        ids, nums, *rest = batch
        lookups = self.network.embedding.lookup(ids)
        rows = [lookup.rows for lookup in lookups]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(rows)
            embedded = self.network.embedding.assemble(ids, lookups)
        losses, of_dense, of_embedded = self._compiled(embedded, nums, *rest)
        tables = [
            RowGradient(
                lookup.unique,
                tf.math.unsorted_segment_sum(g.values, g.indices, tf.size(lookup.unique)),
            )
            for lookup, g in zip(lookups, tape.gradient(embedded, rows, of_embedded), strict=True)
        ]
        return Losses(*losses), of_dense, tables

    def _dense_part(
        self,
        embedded: tf.Tensor,
        nums: tf.Tensor,
        label: tf.Tensor,
        counts: tf.Tensor,
        weight: tf.Tensor,
        completeness: tf.Tensor,
        offset: tf.Tensor,
    ) -> tuple[tuple[tf.Tensor, ...], list[tf.Tensor], tf.Tensor]:
        dense = list(self.network.dense_variables)
        seen = Observed(label, tf.range(tf.size(label)) < counts[0], weight, completeness)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([*dense, embedded])
            x0 = tf.concat([embedded, nums], axis=1)
            inputs = self.network.trunk.inputs(x0, Forward())
            hard, soft = (
                tower(x0, inputs[name], Forward()) for name, tower in self.network.towers.items()
            )
            logit = tf.where(seen.is_hard, hard, soft) + offset
            losses = multi_task_loss(logit, seen, self._loss)
        of_dense, of_embedded = tape.gradient(losses.total, (dense, embedded))
        return tuple(losses), of_dense, of_embedded


class Way:
    """Blocks of training steps over the same examples, float32.

    `way` is `plain`; `unrouted`; `xla`, unrouted; or `strategy`, one replica through
    MirroredStrategy.
    """

    def __init__(self, way: str, steps: int) -> None:
        self._columns = columns(race.clicks(steps * race.BATCH))
        strategy = tf.distribute.MirroredStrategy(["CPU:0"]) if way == "strategy" else None
        training = TrainingSettings(
            batch_size=race.BATCH,
            learning_rate=race.LEARNING_RATE,
            routed=way not in ("unrouted", "xla"),
        )
        make = CompiledStep if way == "xla" else TrainStep
        with strategy.scope() if strategy else nullcontext():
            step = make(TwoTowerDCN(layout(), model(), seed=1), LossSettings(), training)
        self._step: Callable[[Batch], Losses] = ReplicatedStep(step, strategy) if strategy else step
        self._epoch = 0

    def block(self) -> dict[str, float]:
        """Trains once over the examples."""
        batches = shuffled_batches(self._columns, race.BATCH, seed=1, epoch=self._epoch)
        began, cpu, loss = time.perf_counter(), time.process_time(), 0.0
        for batch in batches:
            loss = float(self._step(batch).total)
        self._epoch += 1
        return {
            "wall": time.perf_counter() - began,
            "cpu": time.process_time() - cpu,
            "examples": float(len(self._columns)),
            "loss": loss,
        }
