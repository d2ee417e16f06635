from __future__ import annotations

from datetime import date
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from labs.simulator.world.sampling import GroupSampler, Sampler, zipf_weights
from labs.simulator.world.seasonality import HOURLY, WEEKLY, daily_clicks


def slow_inversion(weights: list[float], uniform: float) -> int:
    """First value whose cumulative probability exceeds the uniform."""
    cumulative = np.cumsum(weights) / np.cumsum(weights)[-1]
    return next(i for i, c in enumerate(cumulative) if c > uniform)


@given(
    st.lists(st.floats(0, 100), min_size=1, max_size=40).filter(lambda w: sum(w) > 1e-6),
    st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=40),
)
def test_sampler_inverts_the_distribution(weights: list[float], uniforms: list[float]) -> None:
    drawn = Sampler(np.array(weights))(np.array(uniforms))
    assert drawn.tolist() == [slow_inversion(weights, u) for u in uniforms]


def test_group_sampler_draws_members_of_the_group_by_weight() -> None:
    group = np.array([0, 1, 1, 1, 2, 2], dtype=np.int32)
    sampler = GroupSampler(group, np.array([5.0, 1, 2, 1, 3, 1]), groups=3)
    wanted = np.array([0, 0, 1, 1, 1, 1, 2, 2, 2], dtype=np.int32)
    uniforms = np.array([0.0, 0.999999, 0.0, 0.24, 0.26, 0.76, 0.0, 0.74, 0.76])
    assert sampler(wanted, uniforms).tolist() == [0, 0, 1, 1, 2, 3, 4, 4, 5]


@given(st.integers(1, 60), st.integers(2, 10_000), st.integers(1, 28))
def test_daily_clicks_add_up_and_none_is_empty(days: int, rate: int, first: int) -> None:
    counts = daily_clicks(days * rate, days, date(2024, 2, first))
    assert sum(counts) == days * rate
    assert min(counts) >= 1


def test_a_longer_log_repeats_the_daily_clicks_of_a_shorter_one() -> None:
    week = daily_clicks(7 * 997, 7, date(2024, 2, 6))
    assert daily_clicks(21 * 997, 21, date(2024, 2, 6)) == week * 3


def test_traffic_has_the_documented_shape() -> None:
    assert sum(HOURLY) == 1000
    assert (max(HOURLY), min(HOURLY)) == (60, 7)
    weekday = np.mean(WEEKLY[:5])
    assert 1.15 <= WEEKLY[5] / weekday <= 1.2
    assert 1.15 <= WEEKLY[6] / weekday <= 1.2


def rank_slope(column: pd.Series, ranks: int) -> float:
    """Zipf exponent by least squares of log count on log rank, over the most frequent values."""
    counts = column.value_counts().to_numpy()[:ranks]
    return float(-np.polyfit(np.log(np.arange(1, ranks + 1)), np.log(counts), 1)[0])


@pytest.mark.parametrize(
    # Counts are at least some 400 each: 5% noise on 30 points is a slope's error of .01.
    ("column", "exponent", "ranks"),
    [("publisher_id", 0.84, 40), ("app_id", 1.8, 20)],
)
def test_zipf_exponents_are_recovered(simulated, column, exponent, ranks) -> None:
    assert rank_slope(simulated.log[column], ranks) == pytest.approx(exponent, abs=0.06)


def test_the_first_week_recovers_the_advertisers_exponent(simulated) -> None:
    first_week = simulated.log[simulated.log.day < 7]
    assert rank_slope(first_week.advertiser_id, 40) == pytest.approx(1.0, abs=0.08)


def test_collisions_recover_the_users_exponent(simulated) -> None:
    """P(two clicks have one user) = sum of r^-2s / (sum of r^-s)^2, whatever users' ranks are."""
    counts = simulated.log.user_id.value_counts().to_numpy()
    n = counts.sum()
    collisions = (counts * (counts - 1.0)).sum() / (n * (n - 1.0))
    # Only users with an id are seen: a share q of them, thinned evenly over ranks, which
    # multiplies the probability by 1 / q.
    q = 1 - simulated.settings.missing["user_id"]
    ranks = np.arange(1, simulated.settings.size.users + 1)

    def excess(exponent: float) -> float:
        weights = ranks**-exponent
        return float((weights**2).sum() / weights.sum() ** 2 - collisions * q)

    assert brentq(excess, 0.1, 1.5) == pytest.approx(0.6, abs=0.04)


def test_zipf_weights_by_hand() -> None:
    assert zipf_weights(3, 1.0).tolist() == pytest.approx([6 / 11, 3 / 11, 2 / 11])
    assert all(a > b for a, b in pairwise(zipf_weights(5, 0.6)))
