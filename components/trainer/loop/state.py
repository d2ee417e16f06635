"""What a training is besides its variables, as one piece of a checkpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import tensorflow as tf

from components.trainer.loop.monitor import Row, StepSums

DIVERGENCE = 0.05
"""Relative rise of the log loss above that before the first step that counts as diverging: several
times what chance makes of it in a calibration split of a hundred conversions."""


class TrainingState(tf.train.experimental.PythonState):
    """Where a training stands.

    Numbers go through a checkpoint unchanged, to the bit. The order of the examples is a function
    of seed and epoch, so that the step is also the position within the epoch.

    Attributes:
      step: steps taken.
      history: rows so far, see `components.trainer.loop.loop.train`.
      guard: against divergence.
      sums: since the last row.
    """

    def __init__(self, patience: int | None) -> None:
        self.step = 0
        self.history: list[Row] = []
        self.guard = DivergenceGuard(patience)
        self.sums = StepSums()

    def serialize(self) -> str:
        """The whole state as JSON."""
        return json.dumps(
            {
                "step": self.step,
                "history": self.history,
                "guard": self.guard.state(),
                "sums": self.sums.state(),
            }
        )

    def deserialize(self, string_value: bytes) -> None:
        """Goes on from what `serialize` gave."""
        form = json.loads(string_value)
        self.step = form["step"]
        self.history = form["history"]
        self.guard.restore(form["guard"])
        self.sums = StepSums.restored(form["sums"])


class BestWeights(tf.Module):
    """A copy of some variables as they were when last kept, in the host's memory."""

    def __init__(self, variables: Sequence[tf.Variable]) -> None:
        super().__init__()
        self._originals = tuple(variables)
        with tf.device("CPU:0"):
            self._copies = [tf.Variable(v, trainable=False) for v in self._originals]

    def keep(self) -> None:
        """Copies the variables as they are now."""
        for copy, original in zip(self._copies, self._originals, strict=True):
            copy.assign(original)

    def put_back(self) -> None:
        """Sets the variables to the copy."""
        for copy, original in zip(self._copies, self._originals, strict=True):
            original.assign(copy)


class DivergenceGuard:
    """Follows a value that should not rise, and says when to give up: a guard against divergence.

    Attributes:
      best_step: step of the lowest value seen, the first of equals.
      best: that value.
    """

    def __init__(self, patience: int | None) -> None:
        self.best_step = 0
        self.best = float("inf")
        self._start = float("inf")
        self._patience = patience
        self._worse = 0

    def update(self, step: int, value: float) -> bool:
        """Takes the value at a step, the one before the first step first; true when it is the best
        so far."""
        if step == 0:
            self._start = value
        self._worse = self._worse + 1 if value > self._start * (1 + DIVERGENCE) else 0
        if value < self.best:
            self.best, self.best_step = value, step
            return True
        return False

    @property
    def exhausted(self) -> bool:
        """True after `patience` values in a row above the first by more than `DIVERGENCE`."""
        return self._patience is not None and self._worse >= self._patience

    def state(self) -> dict[str, float]:
        """What `restore` needs."""
        return {
            "best": self.best,
            "best_step": self.best_step,
            "start": self._start,
            "worse": self._worse,
        }

    def restore(self, state: Mapping[str, float]) -> None:
        """Goes on from a `state`."""
        self.best = state["best"]
        self.best_step = int(state["best_step"])
        self._start = state["start"]
        self._worse = int(state["worse"])
