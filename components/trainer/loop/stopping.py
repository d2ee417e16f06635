"""Early stopping."""

from __future__ import annotations

from collections.abc import Mapping


class EarlyStopping:
    """Follows a value that should fall, and says when to give up.

    Attributes:
      best_step: step of the lowest value seen, the first of equals; 0 before any.
      best: that value.
    """

    def __init__(self, patience: int | None) -> None:
        self.best_step = 0
        self.best = float("inf")
        self._patience = patience
        self._looks_since_best = 0

    def update(self, step: int, value: float) -> bool:
        """Takes the value at a step; true when it is the best so far."""
        if value < self.best:
            self.best, self.best_step, self._looks_since_best = value, step, 0
            return True
        self._looks_since_best += 1
        return False

    @property
    def exhausted(self) -> bool:
        """True after `patience` values in a row that were not the best."""
        return self._patience is not None and self._looks_since_best >= self._patience

    def state(self) -> dict[str, float]:
        """What `restore` needs."""
        return {
            "best": self.best,
            "best_step": self.best_step,
            "looks_since_best": self._looks_since_best,
        }

    def restore(self, state: Mapping[str, float]) -> None:
        """Goes on from a `state`."""
        self.best = state["best"]
        self.best_step = int(state["best_step"])
        self._looks_since_best = int(state["looks_since_best"])
