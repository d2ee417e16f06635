"""The layers of the stack. Weights are float32; arithmetic is in the type of the input."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence

import tensorflow as tf


class Dense(tf.Module):
    """y = activation(x W + b), W [inputs, units] and b [units].

    Attributes:
      kernel, bias: the variables W and b, named `<scope>/kernel` and `<scope>/bias`.
    """

    def __init__(self, inputs: int, units: int, *, scope: str, seed: int, relu: bool) -> None:
        super().__init__()
        self.relu = relu
        self.kernel = _kernel((inputs, units), f"{scope}/kernel", seed)
        self.bias = tf.Variable(tf.zeros(units), name=f"{scope}/bias")

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """Maps [batch, inputs] to [batch, units]."""
        y = _affine(x, self.kernel, self.bias)
        return tf.nn.relu(y) if self.relu else y


class Cross(tf.Module):
    """Cross layer of DCN-V2, full or of low rank.

        full      x_{l+1} = x_0 * (W x_l + b) + x_l            W [width, width]
        low rank  x_{l+1} = x_0 * (U (V^T x_l) + b) + x_l      U, V [width, rank]

    `*` is the product by element. Source: Wang et al., "DCN V2: Improved Deep & Cross Network",
    WWW 2021, equations 1 and 2. With a batch in rows, W is stored transposed as `kernel`
    (y = x kernel), V as `down` [width, rank] and U transposed as `up` [rank, width].

    >>> layer = Cross(2, None, scope="cross_0", seed=0)
    >>> _ = layer.kernel.assign(tf.eye(2))
    >>> layer(tf.constant([[1.0, 2.0]]), tf.constant([[3.0, 4.0]])).numpy().tolist()
    [[6.0, 12.0]]
    """

    def __init__(self, width: int, rank: int | None, *, scope: str, seed: int) -> None:
        super().__init__()
        self.down: tf.Variable | None = None
        if rank is None:
            self.kernel = _kernel((width, width), f"{scope}/kernel", seed)
        else:
            self.down = _kernel((width, rank), f"{scope}/down", seed)
            self.kernel = _kernel((rank, width), f"{scope}/up", seed)
        self.bias = tf.Variable(tf.zeros(width), name=f"{scope}/bias")

    def __call__(self, x0: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Maps the network's input and the layer's input, both [batch, width], to the same."""
        projected = x if self.down is None else tf.matmul(x, tf.cast(self.down, x.dtype))
        return x0 * _affine(projected, self.kernel, self.bias) + x


def _kernel(shape: tuple[int, int], name: str, seed: int) -> tf.Variable:
    return tf.Variable(glorot_uniform(shape, seed, name), name=name)


def _affine(x: tf.Tensor, kernel: tf.Variable, bias: tf.Variable) -> tf.Tensor:
    return tf.nn.bias_add(tf.matmul(x, tf.cast(kernel, x.dtype)), tf.cast(bias, x.dtype))


class MixtureGate(tf.Module):
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


def seed_pair(seed: int, name: str) -> tuple[int, int]:
    """Seed of TensorFlow's stateless random operations for one name."""
    return seed, zlib.crc32(name.encode()) & 0x7FFFFFFF


def uniform(shape: tuple[int, ...], limit: float, seed: int, name: str) -> tf.Tensor:
    """float32 values, uniform in [-limit, limit)."""
    return tf.random.stateless_uniform(
        shape, seed=seed_pair(seed, name), minval=-limit, maxval=limit
    )


def glorot_uniform(shape: tuple[int, int], seed: int, name: str) -> tf.Tensor:
    """float32 [fan in, fan out], uniform within sqrt(6 / (fan in + fan out)).

    Source: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", AISTATS 2010, equation 16.
    """
    return uniform(shape, math.sqrt(6.0 / sum(shape)), seed, name)
