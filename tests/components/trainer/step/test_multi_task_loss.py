"""Equation (1) against sums worked out by hand."""

import math

import numpy as np
import pytest
import tensorflow as tf

from components.trainer.settings import LossSettings
from components.trainer.step.loss import Losses, Observed, multi_task_loss, observed_logit

LN2 = math.log(2)
LN4_3 = math.log(4 / 3)
LN4 = math.log(4)
# Log-odds 0 is probability 1/2; log 3 is 3/4.
LOGIT = [0.0, math.log(3), math.log(3), 0.0]
LABEL = [1.0, 1.0, 0.0, 0.0]
# Log losses: ln 2, ln 4/3, ln 4, ln 2.


def seen(
    hard: list[bool], weight: list[float] | None = None, completeness: list[float] | None = None
) -> Observed:
    return Observed(
        tf.constant(LABEL),
        tf.constant(hard),
        tf.ones(4) if weight is None else tf.constant(weight),
        tf.ones(4) if completeness is None else tf.constant(completeness),
    )


def loss(
    hard: list[bool], settings: LossSettings | None, weight: list[float] | None = None
) -> Losses:
    found = multi_task_loss(tf.constant(LOGIT), seen(hard, weight), settings)
    return Losses(*(float(x) for x in found))


ONE_HARD = [True, False, False, False]
SOFT_SUM = LN4_3 + LN4 + LN2


@pytest.mark.parametrize(
    ("reduction", "wanted"),
    [
        ("task_mean", 0.6 * LN2 + 0.4 * SOFT_SUM / 3),
        ("batch_mean", 0.6 * LN2 / 4 + 0.4 * SOFT_SUM / 4),
    ],
)
def test_reductions(reduction: str, wanted: float) -> None:
    settings = LossSettings(weight_hard=0.6, weight_soft=0.4, reduction=reduction)
    found = loss(ONE_HARD, settings)
    assert found.total == pytest.approx(wanted, rel=1e-6)
    assert found[1:] == pytest.approx((LN2, SOFT_SUM, 1, 3), rel=1e-6)


@pytest.mark.parametrize(
    ("reduction", "wanted"),
    [
        ("task_mean", 0.5 * LN2 + 0.5 * (2 * LN4_3 + LN2) / 3),
        ("batch_mean", 0.5 * 3 * LN2 / 6 + 0.5 * (2 * LN4_3 + LN2) / 6),
    ],
)
def test_example_weights(reduction: str, wanted: float) -> None:
    settings = LossSettings(reduction=reduction)
    found = loss(ONE_HARD, settings, weight=[3.0, 2.0, 0.0, 1.0])
    assert found.total == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("reduction", ["task_mean", "batch_mean"])
@pytest.mark.parametrize(("empty", "other_weight"), [("hard", 0.3), ("soft", 0.7)])
def test_a_task_without_examples_adds_nothing(
    reduction: str, empty: str, other_weight: float
) -> None:
    settings = LossSettings(weight_hard=0.7, weight_soft=0.3, reduction=reduction)
    found = loss([empty == "soft"] * 4, settings)
    assert found.total == pytest.approx(other_weight * (LN2 + SOFT_SUM) / 4, rel=1e-6)


def test_no_hard_example_leaves_a_finite_gradient() -> None:
    logit = tf.constant(LOGIT)
    with tf.GradientTape() as tape:
        tape.watch(logit)
        total = multi_task_loss(logit, seen([False] * 4), LossSettings()).total
    # d/dz of .5 * mean log loss is .5 * (p - label) / 4.
    np.testing.assert_allclose(
        tape.gradient(total, logit), [-0.5 / 8, -0.25 / 8, 0.75 / 8, 0.5 / 8], rtol=1e-6
    )


def test_one_tower_takes_the_plain_mean() -> None:
    assert loss(ONE_HARD, None).total == pytest.approx((LN2 + SOFT_SUM) / 4, rel=1e-6)


def test_equal_weights_agree_when_tasks_are_equally_frequent() -> None:
    half = [True, True, False, False]
    by_task = loss(half, LossSettings(reduction="task_mean")).total
    by_batch = loss(half, LossSettings(reduction="batch_mean")).total
    assert by_task == pytest.approx(2 * by_batch, rel=1e-6)


def test_labels_that_may_still_change() -> None:
    """Log losses of p F by hand, with p 1/2, 3/4, 3/4, 1/2 and F 1/2, 2/3, 2/3, 1/2."""
    completeness = [1 / 2, 2 / 3, 2 / 3, 1 / 2]
    total = multi_task_loss(
        tf.constant(LOGIT), seen(ONE_HARD, completeness=completeness), LossSettings()
    )
    assert float(total.hard_sum) == pytest.approx(math.log(4), rel=1e-6)
    wanted = math.log(2) + math.log(2) + math.log(4 / 3)
    assert float(total.soft_sum) == pytest.approx(wanted, rel=1e-6)


def test_all_seen_is_the_plain_loss_to_the_bit() -> None:
    z = tf.constant(np.linspace(-120, 90, 2001, dtype=np.float32))
    with tf.GradientTape() as tape:
        tape.watch(z)
        found = observed_logit(z, tf.ones_like(z))
    np.testing.assert_array_equal(found, z)
    np.testing.assert_array_equal(tape.gradient(found, z), 1)


def test_the_gradient_is_that_of_finite_differences() -> None:
    rng = np.random.default_rng(1)
    z, f = rng.uniform(-8, 4, 50), rng.uniform(0.01, 1, 50)

    def logit_of_seen(z: np.ndarray) -> np.ndarray:
        seen = f / (1 + np.exp(-z))
        return np.log(seen) - np.log1p(-seen)

    at = tf.constant(z)
    with tf.GradientTape() as tape:
        tape.watch(at)
        found = observed_logit(at, tf.constant(f))
    np.testing.assert_allclose(found, logit_of_seen(z), rtol=1e-9, atol=1e-9)
    wanted = (logit_of_seen(z + 1e-5) - logit_of_seen(z - 1e-5)) / 2e-5
    np.testing.assert_allclose(tape.gradient(found, at), wanted, rtol=1e-5)
