"""This project's training step and batches in the race of `benchmarks.training`."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.contestants import training_task as race
from benchmarks.contestants.training_network import layout, model
from components.trainer.data.batches import shuffled_batches
from components.trainer.data.columns import Columns
from components.trainer.network.network import TwoTowerDCN
from components.trainer.settings import LossSettings, TrainingSettings
from components.trainer.step.scoring import TowerScorer
from components.trainer.step.step import TrainStep


class Training:
    """Blocks of training steps over the same examples, in a new order each."""

    def __init__(
        self,
        steps: int,
        precision: str = "float32",
        routed: bool = True,
        cross_rank: int | None = None,
        lazy_adam: bool = True,
    ) -> None:
        self.columns = columns(race.clicks(steps * race.BATCH))
        self._network = TwoTowerDCN(layout(), model(cross_rank), seed=1)
        settings: dict[str, Any] = {
            "batch_size": race.BATCH,
            "learning_rate": race.LEARNING_RATE,
            "precision": precision,
            "routed": routed,
            "lazy_adam": lazy_adam,
        }
        training = TrainingSettings.model_validate(settings)
        self._step = TrainStep(self._network, LossSettings(), training)
        self._scorer = TowerScorer(self._network, "hard", training.evaluation_batch_size)
        self._epoch = 0

    def block(self) -> dict[str, float]:
        """Trains once over the examples, then scores them; `wall` and `cpu` are of the training,
        `input` what it waited for batches, `evaluation` what scoring took, in seconds."""
        waited, loss = 0.0, 0.0
        began, began_cpu = time.perf_counter(), time.process_time()
        batches = shuffled_batches(self.columns, race.BATCH, seed=1, epoch=self._epoch)
        while True:
            asked = time.perf_counter()
            batch = next(batches, None)
            waited += time.perf_counter() - asked
            if batch is None:
                break
            loss = float(self._step(batch).total)
        self._epoch += 1
        trained, cpu = time.perf_counter() - began, time.process_time() - began_cpu
        began = time.perf_counter()
        self._scorer.logits(self.columns)
        scored = time.perf_counter() - began
        examples = float(len(self.columns))
        return {
            "examples": examples,
            "wall": trained,
            "cpu": cpu,
            "input": waited,
            "evaluation": scored,
            "loss": loss,
        }


class Gemm:
    """The machine's limit: square matrix products, large enough to reach it."""

    SIZE = 2048
    PRODUCTS = 12

    def __init__(self, precision: str) -> None:
        dtype = tf.as_dtype(precision)
        generator = tf.random.Generator.from_seed(1)
        shape = (self.SIZE, self.SIZE)
        self._a, self._b = (tf.cast(generator.normal(shape), dtype) for _ in range(2))
        self._product = tf.function(lambda a, b: tf.matmul(a, b))

    def block(self) -> dict[str, float]:
        began = time.perf_counter()
        for _ in range(self.PRODUCTS):
            result = self._product(self._a, self._b)
        result.numpy()
        spent = time.perf_counter() - began
        return {"gflops": 2 * self.SIZE**3 * self.PRODUCTS / spent / 1e9}


class BigTable:
    """A few steps with one embedding table of many rows, for its memory."""

    def __init__(self, rows: int, lazy_adam: bool, steps: int = 5) -> None:
        self._columns = columns(race.clicks(steps * race.BATCH, rows=(rows,)))
        network = TwoTowerDCN(layout((rows,)), model(), seed=1)
        training = TrainingSettings(batch_size=race.BATCH, lazy_adam=lazy_adam)
        self._step = TrainStep(network, LossSettings(), training)

    def block(self) -> dict[str, float]:
        for batch in shuffled_batches(self._columns, race.BATCH, seed=1, epoch=0):
            float(self._step(batch).total)
        return {"examples": float(len(self._columns))}


def columns(clicks: race.Clicks) -> Columns:
    """The race's examples as the Trainer holds them."""
    cvr = np.where(clicks.hard, 0.005, 0.1).astype(np.float32)
    return Columns(clicks.ids, clicks.nums, clicks.label, clicks.hard, cvr)
