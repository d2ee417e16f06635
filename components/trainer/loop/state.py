"""What a training is besides its variables, as one piece of a checkpoint."""

from __future__ import annotations

import json

import tensorflow as tf

from components.trainer.loop.monitor import Interval, Row
from components.trainer.loop.stopping import EarlyStopping


class TrainingState(tf.train.experimental.PythonState):
    """Where a training stands.

    Numbers go through a checkpoint unchanged, to the bit. The order of the examples is a function
    of seed and epoch, so that the step is also the position within the epoch.

    Attributes:
      step: steps taken.
      history: rows so far, see `components.trainer.loop.loop.train`.
      stopping: early stopping.
      interval: sums since the last row.
    """

    def __init__(self, patience: int | None) -> None:
        self.step = 0
        self.history: list[Row] = []
        self.stopping = EarlyStopping(patience)
        self.interval = Interval()

    def serialize(self) -> str:
        """All of it as JSON."""
        return json.dumps(
            {
                "step": self.step,
                "history": self.history,
                "stopping": self.stopping.state(),
                "interval": self.interval.state(),
            }
        )

    def deserialize(self, string_value: bytes) -> None:
        """Goes on from what `serialize` gave."""
        form = json.loads(string_value)
        self.step = form["step"]
        self.history = form["history"]
        self.stopping.restore(form["stopping"])
        self.interval = Interval.restored(form["interval"])
