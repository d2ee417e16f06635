"""Runs of consecutive layers: the shared ones, and a tower's own with its logit."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from components.trainer.network.layers import Cross, Dense, seed_pair
from components.trainer.settings import ModelSettings


@dataclass(frozen=True)
class Forward:
    """How a pass through the layers computes.

    Attributes:
      dtype: type of the layers' arithmetic, logits excepted.
      step: int64 scalar that seeds dropout together with the network's seed; none drops nothing.
    """

    dtype: tf.DType = tf.float32
    step: tf.Tensor | None = None


INFERENCE = Forward()


class Stack(tf.Module):
    """Layers first..last-1 of the whole stack: cross layers, then feed-forward layers.

    Attributes:
      width: width of the output.
    """

    def __init__(
        self, first: int, last: int, inputs: int, model: ModelSettings, *, scope: str, seed: int
    ) -> None:
        super().__init__()
        self.layers: list[Cross | Dense] = []
        self._dropout = model.dropout
        self._dropout_seeds: list[int] = []
        widths = model.widths(inputs)
        for i in range(first, last):
            if i < model.cross_layers:
                name = f"{scope}/cross_{i}"
                self.layers.append(Cross(inputs, model.rank(i), scope=name, seed=seed))
            else:
                name = f"{scope}/dense_{i - model.cross_layers}"
                self.layers.append(
                    Dense(widths[i], widths[i + 1], scope=name, seed=seed, relu=True)
                )
            self._dropout_seeds.append(seed ^ seed_pair(seed, name)[1])
        self.width = widths[last]

    def __call__(self, x0: tf.Tensor, x: tf.Tensor, forward: Forward = INFERENCE) -> tf.Tensor:
        """Maps the network's input and the stack's input to [batch, width]."""
        for layer, seed in zip(self.layers, self._dropout_seeds, strict=True):
            if isinstance(layer, Cross):
                x = layer(x0, x)
                continue
            x = layer(x)
            if self._dropout and forward.step is not None:
                x = tf.nn.experimental.stateless_dropout(
                    x, self._dropout, seed=tf.stack([tf.cast(seed, tf.int64), forward.step])
                )
        return x


class Tower(tf.Module):
    """A task's own layers and its logit.

    Attributes:
      stack: the layers that follow the shared ones.
      logit: the last linear layer, one unit; at zero beside a wide part, to which it adds.
    """

    def __init__(self, inputs: int, model: ModelSettings, *, scope: str, seed: int) -> None:
        super().__init__()
        first = model.shared_layers
        self.stack = Stack(first, model.layers, inputs, model, scope=scope, seed=seed)
        self.logit = Dense(self.stack.width, 1, scope=f"{scope}/logit", seed=seed, relu=False)
        if model.wide.enabled:
            self.logit.kernel.assign(tf.zeros_like(self.logit.kernel))

    def __call__(self, x0: tf.Tensor, x: tf.Tensor, forward: Forward = INFERENCE) -> tf.Tensor:
        """Maps the network's input and the shared layers' output to logits, float32 [batch]."""
        last = tf.cast(self.stack(x0, x, forward), tf.float32)
        return tf.squeeze(self.logit(last), axis=1)
