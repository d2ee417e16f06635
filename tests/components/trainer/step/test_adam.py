"""Adam against an implementation in NumPy written from the paper's algorithm."""

from collections.abc import Sequence

import numpy as np
import pytest
import tensorflow as tf

from components.trainer.settings import TrainingSettings
from components.trainer.step.optimizer import Adam, RowGradient


def settings(
    lazy: bool = True, table_rate: float | None = None, table_epsilon: float | None = None
) -> TrainingSettings:
    return TrainingSettings(
        learning_rate=0.1,
        table_learning_rate=table_rate,
        table_epsilon=table_epsilon,
        beta1=0.8,
        beta2=0.95,
        epsilon=1e-3,
        lazy_adam=lazy,
    )


def reference(
    x: np.ndarray, gradients: Sequence[np.ndarray], rate: float = 0.1, epsilon: float = 1e-3
) -> np.ndarray:
    """Kingma and Ba, algorithm 1 with the two corrections moved into the rate (section 2)."""
    x, m, v = x.astype(np.float64), np.zeros(x.shape), np.zeros(x.shape)
    for t, g in enumerate(gradients, start=1):
        m = 0.8 * m + 0.2 * g
        v = 0.95 * v + 0.05 * g**2
        rate_t = rate * np.sqrt(1 - 0.95**t) / (1 - 0.8**t)
        x = x - rate_t * m / (np.sqrt(v) + epsilon)
    return x


def gradients(shape: tuple[int, ...], steps: int = 4) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [rng.standard_normal(shape).astype(np.float32) for _ in range(steps)]


def rows(indices: Sequence[int], values: np.ndarray) -> RowGradient:
    return RowGradient(tf.constant(indices, tf.int64), tf.constant(values))


def test_first_step_by_hand() -> None:
    x = tf.Variable([1.0, 1.0])
    Adam([x], [], settings()).apply([tf.constant([2.0, -0.5])], [])
    # m = .2 g, v = .05 g^2, rate_1 = .1 sqrt(.05) / .2, so the change is
    # .1 sqrt(.05) g / (sqrt(.05) |g| + .001).
    np.testing.assert_allclose(x.numpy(), [1 - 0.09977689, 1 + 0.09911355], rtol=1e-6)


def test_dense_variables() -> None:
    start = np.array([[1.0, -2.0, 0.5]], np.float32)
    x = tf.Variable(start)
    adam = Adam([x], [], settings())
    steps = gradients((1, 3))
    for g in steps:
        adam.apply([tf.constant(g)], [])
    np.testing.assert_allclose(x.numpy(), reference(start, steps), rtol=1e-5)
    assert int(adam.step) == 4


@pytest.mark.parametrize("lazy", [True, False])
def test_rows_used_at_every_step_are_exact(lazy: bool) -> None:
    start = np.arange(8, dtype=np.float32).reshape(4, 2)
    table = tf.Variable(start)
    adam = Adam([], [table], settings(lazy, table_rate=0.02))
    steps = gradients((2, 2))
    for g in steps:
        adam.apply([], [rows([3, 1], g)])
    wanted = reference(start[[3, 1]], steps, rate=0.02)
    np.testing.assert_allclose(table.numpy()[[3, 1]], wanted, rtol=1e-5)
    np.testing.assert_array_equal(table.numpy()[[0, 2]], start[[0, 2]])


@pytest.mark.parametrize("lazy", [True, False])
def test_tables_have_their_own_epsilon(lazy: bool) -> None:
    start = np.arange(4, dtype=np.float32).reshape(2, 2)
    table, dense = tf.Variable(start), tf.Variable(start)
    adam = Adam([dense], [table], settings(lazy, table_epsilon=0.5))
    steps = gradients((2, 2))
    for g in steps:
        adam.apply([tf.constant(g)], [rows([0, 1], g)])
    np.testing.assert_allclose(dense.numpy(), reference(start, steps), rtol=1e-5)
    wanted = reference(start, steps, epsilon=0.5)
    np.testing.assert_allclose(table.numpy(), wanted, rtol=1e-5)


def test_a_large_epsilon_keeps_the_proportion_of_gradients() -> None:
    """A row of one conversion moves farther than one of a click without, as its gradient is."""
    moved = {}
    for epsilon in (1e-8, 1e3):
        table = tf.Variable(np.zeros((2, 1), np.float32))
        adam = Adam([], [table], settings(table_epsilon=epsilon))
        adam.apply([], [rows([0, 1], np.array([[-0.99], [0.01]], np.float32))])
        moved[epsilon] = -float(table[0, 0]) / float(table[1, 0])
    assert moved[1e-8] == pytest.approx(1, rel=1e-3)
    assert moved[1e3] == pytest.approx(99, rel=1e-3)


def test_rows_used_now_and_then_move_only_when_lazy_is_off() -> None:
    first, second = gradients((1, 2), steps=2)
    start = np.ones((2, 2), np.float32)
    none = np.zeros((1, 2), np.float32)
    after = {}
    for lazy in (True, False):
        table = tf.Variable(start)
        adam = Adam([], [table], settings(lazy))
        adam.apply([], [rows([0], first)])
        between = table.numpy()[:1]
        adam.apply([], [rows([1], second)])
        after[lazy] = table.numpy()[:1]
        assert np.array_equal(after[lazy], between) is lazy
    np.testing.assert_allclose(after[True], reference(start[:1], [first]), rtol=1e-5)
    np.testing.assert_allclose(after[False], reference(start[:1], [first, none]), rtol=1e-5)


def test_lazy_rows_count_all_steps() -> None:
    table = tf.Variable(np.ones((2, 1), np.float32))
    adam = Adam([], [table], settings())
    adam.apply([], [rows([1], np.array([[1.0]], np.float32))])
    adam.apply([], [rows([0], np.array([[2.0]], np.float32))])
    rate_2 = 0.1 * np.sqrt(1 - 0.95**2) / (1 - 0.8**2)
    wanted = 1 - rate_2 * 0.4 / (np.sqrt(0.05 * 4) + 1e-3)
    assert float(table[0, 0]) == pytest.approx(wanted, rel=1e-5)
