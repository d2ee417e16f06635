"""Log loss and AUC against slow definitions; early stopping by a table."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.trainer.loop.state import EarlyStopping
from components.trainer.step.metrics import auc, calibration_error, log_loss

Scored = list[tuple[int, bool]]


@given(st.lists(st.tuples(st.integers(-4, 4), st.booleans()), min_size=1, max_size=30))
def test_auc_counts_ordered_pairs(scored: Scored) -> None:
    up = [s for s, positive in scored if positive]
    down = [s for s, positive in scored if not positive]
    found = auc(*(np.array(column, np.float32) for column in zip(*scored, strict=True)))
    if not up or not down:
        assert found is None
    else:
        pairs = [(a > b) + 0.5 * (a == b) for a in up for b in down]
        assert found == pytest.approx(sum(pairs) / len(pairs))


@given(st.lists(st.tuples(st.integers(-4, 4), st.booleans()), min_size=1, max_size=30))
def test_log_loss_is_the_mean_surprise(scored: Scored) -> None:
    chance = [1 / (1 + np.exp(-z if positive else z)) for z, positive in scored]
    found = log_loss(*(np.array(column, np.float32) for column in zip(*scored, strict=True)))
    assert found == pytest.approx(-np.mean(np.log(chance)))


def test_log_loss_of_extreme_logits_is_finite() -> None:
    found = log_loss(np.array([500, -500], np.float32), np.array([0, 0], np.float32))
    assert found == pytest.approx(250)


@given(
    st.lists(
        st.tuples(st.integers(-4, 4), st.booleans(), st.integers(0, 3)), min_size=1, max_size=20
    ).filter(lambda scored: any(times for *_, times in scored))
)
def test_a_weight_repeats_an_example(scored: list[tuple[int, bool, int]]) -> None:
    score, label, times = (np.array(column, np.float32) for column in zip(*scored, strict=True))
    rows = np.repeat(np.arange(len(scored)), times.astype(int))
    for measure in (auc, log_loss):
        assert measure(score, label, times) == pytest.approx(measure(score[rows], label[rows]))


def test_calibration_error_worked_by_hand() -> None:
    """Bins (.1, .2) and (.4, .9): |.15 - .5| and |.65 - .5| with labels 1 0 and 0 1."""
    probability = np.array([0.9, 0.1, 0.4, 0.2], np.float32)
    label = np.array([1, 1, 0, 0], np.float32)
    assert calibration_error(probability, label, bins=2) == pytest.approx((0.35 + 0.15) / 2)
    # The second bin counts for 6 of 8: |.9 * 3 + .4 * 3 - 3| / 8 and |.3 - 1| / 8.
    weight = np.array([3, 1, 3, 1], np.float32)
    assert calibration_error(probability, label, weight, bins=2) == pytest.approx((0.7 + 0.9) / 8)
    assert calibration_error(probability, label, bins=99) == pytest.approx(
        (0.1 + 0.9 + 0.4 + 0.2) / 4
    )


@pytest.mark.parametrize(
    ("patience", "values", "best_step", "exhausted"),
    [
        (2, [3, 2, 1], 2, False),
        (2, [1, 2, 3], 0, True),
        (2, [2, 3, 1, 4], 2, False),
        (2, [1, 1.04, 1.04, 1.04], 0, False),
        (2, [1, 0.5, 0.9, 0.9], 1, False),
        (2, [1, 1.06, 1.01, 1.06], 0, False),
        (3, [1, 2, 2], 0, False),
        (None, [1, 2, 3, 4, 5], 0, False),
    ],
)
def test_the_guard_against_divergence(
    patience: int | None, values: list[float], best_step: int, exhausted: bool
) -> None:
    stopping = EarlyStopping(patience)
    improved = [stopping.update(step, value) for step, value in enumerate(values)]
    assert stopping.best_step == best_step
    assert stopping.best == min(values)
    assert improved[best_step]
    assert not any(improved[best_step + 1 :])
    assert stopping.exhausted is exhausted
