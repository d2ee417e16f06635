"""The interval of expected over observed conversions: by hand, and what it holds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from common.statistics.poisson import level_interval


def apart(n: int) -> np.ndarray:
    return np.arange(n)


def test_seven_conversions_by_the_table() -> None:
    """Garwood's table: 7 have an expectation between 2.814 and 14.423 at 95 %."""
    low, high = level_interval(np.ones(7), np.full(7, 2.0), apart(7), 0.025)
    assert (low, high) == pytest.approx((14 / 14.423, 14 / 2.814), rel=1e-3)


def test_nothing_came_or_nothing_is_there() -> None:
    low, high = level_interval(np.zeros(10), np.full(10, 0.3), apart(10), 0.05)
    assert low == pytest.approx(3 / -math.log(0.05))
    assert math.isinf(high)
    assert np.isnan(level_interval(np.zeros(0), np.zeros(0), apart(0), 0.05)).all()


def test_setups_by_hand() -> None:
    """Four setups of 5 expected; 10, 10, 0 and 0 came: residuals of 5 over 1 - 1/4, so that
    phi = 4 (20/3)^2 / 20 = 80/9: 20 conversions are worth 2.25."""
    setup = np.repeat(np.arange(4), 10)
    observed = np.repeat([1.0, 1.0, 0.0, 0.0], 10)
    low, high = level_interval(observed, np.full(40, 0.5), setup, 0.05)
    # 4.5 conversions chi-square distributed with 2.25 * 2 and 2.25 * 2 + 2 degrees of freedom.
    assert low == pytest.approx(2.25 / (13.334 / 2), rel=1e-3)
    assert high == pytest.approx(2.25 / (0.9201 / 2), rel=1e-3)


@pytest.mark.parametrize(("lifts", "least"), [([1.0], 0.88), ([0.5, 1.5], 0.86)])
def test_how_often_the_truth_is_inside(lifts: list[float], least: float) -> None:
    """Forty conversions of setups of very different size, of which each has its own level."""
    rng = np.random.default_rng(3)
    inside = 0
    for _ in range(400):
        setup = np.repeat(np.arange(60), rng.integers(5, 120, 60))
        expected = np.exp(rng.normal(-4.8, 0.7, len(setup)))
        true = expected * rng.choice(lifts, 60)[setup]
        observed = (rng.random(len(setup)) < true).astype(float)
        low, high = level_interval(observed, expected, setup, 0.05)
        inside += low <= 1 <= high
    assert inside >= 400 * least
