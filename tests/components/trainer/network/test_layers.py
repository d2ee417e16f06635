"""Layers against constants worked out by hand."""

import numpy as np
import pytest
import tensorflow as tf

from components.trainer.network.layers import Cross, Dense


def test_full_cross_by_hand() -> None:
    layer = Cross(2, None, scope="cross", seed=1)
    # W = [[1, 2], [3, 4]], stored transposed.
    layer.kernel.assign([[1.0, 3.0], [2.0, 4.0]])
    layer.bias.assign([0.5, -1.0])
    # W x + b = [1*1 + 2*-1 + .5, 3*1 + 4*-1 - 1] = [-.5, -2]
    # x0 * that + x = [2*-.5 + 1, 3*-2 - 1] = [0, -7]
    np.testing.assert_array_equal(
        layer(tf.constant([[2.0, 3.0]]), tf.constant([[1.0, -1.0]])), [[0.0, -7.0]]
    )


def test_low_rank_cross_by_hand() -> None:
    layer = Cross(2, 1, scope="cross", seed=1)
    assert layer.down is not None
    layer.down.assign([[1.0], [2.0]])
    layer.kernel.assign([[3.0, -1.0]])
    layer.bias.assign([0.0, 1.0])
    # V^T x = 1*4 + 2*-1 = 2; U(.) + b = [6, -2 + 1] = [6, -1]; x0 * that + x = [6 + 4, -5 - 1]
    np.testing.assert_array_equal(
        layer(tf.constant([[1.0, 5.0]]), tf.constant([[4.0, -1.0]])), [[10.0, -6.0]]
    )


def test_cross_rows_do_not_mix() -> None:
    layer = Cross(3, None, scope="cross", seed=1)
    x0, x = tf.random.stateless_normal((2, 4, 3), seed=(1, 2))
    together = layer(x0, x).numpy()
    one_by_one = [layer(x0[i : i + 1], x[i : i + 1]).numpy()[0] for i in range(4)]
    np.testing.assert_allclose(together, one_by_one, rtol=1e-6)


@pytest.mark.parametrize(("relu", "wanted"), [(True, [[0.0, 3.0]]), (False, [[-1.5, 3.0]])])
def test_dense_by_hand(relu: bool, wanted: list[list[float]]) -> None:
    layer = Dense(2, 2, scope="dense", seed=1, relu=relu)
    layer.kernel.assign([[1.0, 2.0], [-1.0, 0.5]])
    layer.bias.assign([0.5, -0.5])
    # [1*1 + 3*-1 + .5, 1*2 + 3*.5 - .5] = [-1.5, 3]
    np.testing.assert_array_equal(layer(tf.constant([[1.0, 3.0]])), wanted)


def test_arithmetic_follows_the_input_and_weights_stay_float32() -> None:
    dense, cross = (
        Dense(3, 2, scope="dense", seed=1, relu=True),
        Cross(3, 2, scope="cross", seed=1),
    )
    x = tf.ones((2, 3), tf.bfloat16)
    assert dense(x).dtype == cross(x, x).dtype == tf.bfloat16
    assert {v.dtype for v in (*dense.variables, *cross.variables)} == {tf.float32}


def test_initial_kernel_is_within_glorots_limit_and_its_own() -> None:
    a, b = (Dense(40, 20, scope=name, seed=1, relu=True).kernel.numpy() for name in "ab")
    limit = np.sqrt(6 / 60)
    assert 0.95 * limit < np.abs(a).max() <= limit
    assert abs(a.mean()) < 0.05 * limit
    assert not np.array_equal(a, b)
