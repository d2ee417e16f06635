"""The race's network in Keras 3, written as its documentation teaches, trained by `fit`."""

from __future__ import annotations

import os

os.environ["TF_USE_LEGACY_KERAS"] = "0"

import keras
import numpy as np

from benchmarks.contestants import training_task as race


@keras.saving.register_keras_serializable("race")
class Cross(keras.layers.Layer):
    """x0 * (W x + b) + x, with W full or of low rank."""

    def __init__(self, rank: int | None = None) -> None:
        super().__init__()
        self._down = keras.layers.Dense(rank, use_bias=False) if rank else None
        self._up = keras.layers.Dense(race.INPUT_WIDTH)

    def call(self, x0: keras.KerasTensor, x: keras.KerasTensor) -> keras.KerasTensor:
        inner = x if self._down is None else self._down(x)
        return x0 * self._up(inner) + x


class Fit:
    """Blocks of one epoch of `Model.fit`, two outputs with a sample weight each."""

    def __init__(self, steps: int, cross_rank: int | None = None) -> None:
        keras.utils.set_random_seed(1)
        clicks = race.clicks(steps * race.BATCH)
        ids = keras.Input((race.FEATURES,), dtype="int32")
        nums = keras.Input((race.NUMBERS,))
        embedded = [
            keras.layers.Embedding(rows, race.WIDTH)(ids[:, i])
            for i, rows in enumerate(race.TABLE_ROWS)
        ]
        x0 = keras.layers.Concatenate()([*embedded, nums])
        x = x0
        for _ in range(race.SHARED_CROSS):
            x = Cross(cross_rank)(x0, x)
        outputs = {}
        for task in ("hard", "soft"):
            y = x
            for _ in range(race.TOWER_CROSS):
                y = Cross(cross_rank)(x0, y)
            for units in race.HIDDEN:
                y = keras.layers.Dense(units, activation="relu")(y)
            outputs[task] = keras.layers.Dense(1, name=task)(y)
        self._model = keras.Model([ids, nums], outputs)
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        self._model.compile(
            optimizer=keras.optimizers.Adam(race.LEARNING_RATE),
            loss={"hard": loss, "soft": loss},
            loss_weights={"hard": 0.5, "soft": 0.5},
        )
        self._x = [clicks.ids, clicks.nums]
        self._y = {"hard": clicks.label, "soft": clicks.label}
        self._weight = {
            "hard": clicks.hard.astype(np.float32),
            "soft": (~clicks.hard).astype(np.float32),
        }

    def block(self) -> dict[str, float]:
        history = self._model.fit(
            self._x,
            self._y,
            sample_weight=self._weight,
            batch_size=race.BATCH,
            epochs=1,
            verbose=0,
        )
        return {
            "examples": float(len(self._x[0])),
            "loss": float(history.history["loss"][-1]),
        }
