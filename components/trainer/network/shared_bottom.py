"""The paper's trunk: one run of layers that all towers share."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from components.trainer.network.stack import INFERENCE, Forward, Stack
from components.trainer.settings import ModelSettings


class SharedBottom(tf.Module):
    """x_t = f(x_0) for every tower t (paper, section 3.1.1 and figure 1).

    Attributes:
      stack: the layers f, named `shared/<layer>`.
      towers: names.
    """

    def __init__(self, stack: Stack, towers: Sequence[str]) -> None:
        super().__init__()
        self.stack = stack
        self.towers = tuple(towers)

    @classmethod
    def build(cls, width: int, model: ModelSettings, seed: int) -> SharedBottom:
        """A trunk with fresh variables, for inputs of that width."""
        stack = Stack(0, model.shared_layers, width, model, scope="shared", seed=seed)
        return cls(stack, model.towers)

    def inputs(self, x0: tf.Tensor, forward: Forward = INFERENCE) -> dict[str, tf.Tensor]:
        """See `Trunk`."""
        return dict.fromkeys(self.towers, self.stack(x0, x0, forward))

    def routed(
        self, x0: tf.Tensor, counts: tf.Tensor, forward: Forward = INFERENCE
    ) -> dict[str, tf.Tensor]:
        """See `Trunk`."""
        parts = tf.split(self.stack(x0, x0, forward), counts, num=len(self.towers))
        return dict(zip(self.towers, parts, strict=True))

    def path(self, tower: str) -> SharedBottom:
        """See `Trunk`."""
        return SharedBottom(self.stack, (tower,))
