"""What lies between the network's input and its towers: one interface, one file a kind."""

from __future__ import annotations

from typing import Protocol

import tensorflow as tf

from components.trainer.network.stack import INFERENCE, Forward


class Trunk(Protocol):
    """Gives each tower its input.

    Implementations are `tf.Module`s. A variable that one tower alone depends on is named after
    that tower, `<tower>/...`; every other one `shared/...`.
    """

    @property
    def variables(self) -> tuple[tf.Variable, ...]:
        """Every variable of the trunk, whichever tower reads it."""

    def inputs(self, x0: tf.Tensor, forward: Forward = INFERENCE) -> dict[str, tf.Tensor]:
        """Every tower's input for every row, [batch, width], from x0 [batch, input width]."""

    def routed(
        self, x0: tf.Tensor, counts: tf.Tensor, forward: Forward = INFERENCE
    ) -> dict[str, tf.Tensor]:
        """Every tower's input for its own rows, [counts[i], width] for the i-th tower.

        Args:
          x0: [batch, input width], the rows in the order of the towers.
          counts: int32 [towers], how many rows each tower has.
          forward: type of the arithmetic, and dropout.
        """

    def path(self, tower: str) -> Trunk:
        """The trunk of one tower, on the same variables, tracking only what that tower needs."""
