"""The layers of the stack. Weights are float32; arithmetic is in the type of the input."""

from __future__ import annotations

import tensorflow as tf

from components.trainer.network.initializers import glorot_uniform


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
