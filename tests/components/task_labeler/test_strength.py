"""Strength of the prior: the moment estimator on draws of known strength and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from components.task_labeler.decide.strength import (
    STRONGEST,
    UNTIL_ESTIMATED,
    WEAKEST,
    estimate_strength,
    held_between,
    setup_moments,
)

ONE = np.zeros(1, np.int64)


def test_by_hand() -> None:
    """Two setups of 10 clicks, 1 and 5 conversions: p = 0.3, S = 10 (0.2^2 + 0.2^2) = 0.8,
    A = 20 - 200 / 20 = 10, B = 1, rho = (0.8 / 0.21 - 1) / 9 = 0.31216.., m = 2.2034.."""
    clicks = np.array([[10.0], [10.0]])
    moments = setup_moments(np.array([[1.0], [5.0]]), clicks, clicks, np.zeros(2, np.int64), 1)
    by_category, overall = estimate_strength(moments, ONE, 1, min_setups=1)
    wanted = 1 / ((0.8 / 0.21 - 1) / 9) - 1
    assert by_category[0, 0] == overall[0] == pytest.approx(wanted, rel=1e-5)
    assert wanted == pytest.approx(2.2034, abs=1e-4)


@pytest.mark.parametrize("m", [20.0, 300.0])
@pytest.mark.parametrize("decay", [False, True])
def test_finds_the_strength_of_draws(m: float, decay: bool) -> None:
    """4,000 setups with rates of Beta(m p, m (1 - p)); with decay, clicks weigh 1 and 1/4."""
    rng = np.random.default_rng(11)
    setups = 4000
    rate = rng.beta(m * 0.05, m * 0.95, setups)
    new, old = rng.integers(0, 600, setups), rng.integers(1, 900, setups)
    w = 0.25 if decay else 1.0
    conversions = rng.binomial(new, rate) + w * rng.binomial(old, rate)
    moments = setup_moments(
        conversions[:, None],
        (new + w * old)[:, None],
        (new + w**2 * old)[:, None],
        np.zeros(setups, np.int64),
        1,
    )
    by_category, _ = estimate_strength(moments, ONE, 1, min_setups=10)
    assert by_category[0, 0] == pytest.approx(m, rel=0.1)


def test_groups_of_different_means_do_not_pass_for_spread() -> None:
    """Within each advertiser type all setups convert alike."""
    clicks = np.full((40, 1), 1000.0)
    conversions = np.repeat([10.0, 300.0], 20)[:, None]
    group = np.repeat([0, 1], 20)
    moments = setup_moments(conversions, clicks, clicks, group, 2)
    by_category, _ = estimate_strength(moments, np.zeros(2, np.int64), 1, min_setups=10)
    assert by_category[0, 0] == pytest.approx(STRONGEST)


def test_opposite_setups_get_the_weakest_prior() -> None:
    clicks = np.full((20, 1), 1000.0)
    conversions = np.repeat([0.0, 1000.0], 10)[:, None]
    moments = setup_moments(conversions, clicks, clicks, np.zeros(20, np.int64), 1)
    by_category, _ = estimate_strength(moments, ONE, 1, min_setups=10)
    assert by_category[0, 0] == pytest.approx(WEAKEST)


def test_small_categories_take_the_estimate_of_all() -> None:
    rng = np.random.default_rng(2)
    group = np.array([0] * 30 + [1] * 3)
    clicks = np.full((33, 1), 500.0)
    conversions = rng.binomial(500, rng.beta(2, 50, 33))[:, None].astype(float)
    moments = setup_moments(conversions, clicks, clicks, group, 2)
    by_category, overall = estimate_strength(moments, np.array([0, 1]), 2, min_setups=10)
    assert by_category[1, 0] == overall[0] != by_category[0, 0]
    too_few, all_too_few = estimate_strength(moments, np.array([0, 1]), 2, min_setups=40)
    assert too_few.tolist() == [[UNTIL_ESTIMATED]] * 2
    assert all_too_few.tolist() == [UNTIL_ESTIMATED]


def test_moments_add_up_over_parts() -> None:
    rng = np.random.default_rng(4)
    clicks = rng.integers(0, 9, (30, 3)).astype(float)
    conversions = np.minimum(clicks, rng.integers(0, 5, (30, 3)))
    group = rng.integers(0, 4, 30)
    whole = setup_moments(conversions, clicks, clicks, group, 4)
    parts = [
        setup_moments(conversions[part], clicks[part], clicks[part], group[part], 4)
        for part in (slice(0, 13), slice(13, 30))
    ]
    np.testing.assert_allclose(parts[0] + parts[1], whole, rtol=1e-12)


def test_estimates_hold_until_the_next_refit() -> None:
    estimates = np.array([[5.0, 7.0]])
    got = held_between(np.array([14, 21]), estimates, np.arange(13, 23))
    assert got.tolist() == [[UNTIL_ESTIMATED, *[5.0] * 7, 7.0, 7.0]]
