"""The gate that mixes experts."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from components.trainer.network.initializers import glorot_uniform


class Gate(tf.Module):
    """y = sum_k g_k f_k with g = softmax(s W), W [width of s, experts].

    s is what the gate decides by, f_k the output of expert k. Source: Ma et al., "Modeling Task
    Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts", KDD 2018; Tang et
    al., "Progressive Layered Extraction (PLE)", RecSys 2020, has the same with another s.

    Attributes:
      kernel: the variable W, named `<scope>/kernel`.
    """

    def __init__(self, inputs: int, experts: int, *, scope: str, seed: int) -> None:
        super().__init__()
        name = f"{scope}/kernel"
        self.kernel = tf.Variable(glorot_uniform((inputs, experts), seed, name), name=name)

    def weights(self, selector: tf.Tensor) -> tf.Tensor:
        """g, float32 [batch, experts], each row's sum being 1."""
        scores = tf.matmul(selector, tf.cast(self.kernel, selector.dtype))
        return tf.nn.softmax(tf.cast(scores, tf.float32))

    def __call__(self, selector: tf.Tensor, outputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Mixes the experts' outputs, each [batch, width], by the selector, [batch, inputs]."""
        weights = tf.split(tf.cast(self.weights(selector), selector.dtype), len(outputs), axis=1)
        return tf.add_n([w * f for w, f in zip(weights, outputs, strict=True)])
