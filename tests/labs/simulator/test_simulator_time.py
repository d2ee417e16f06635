from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import kstest

from labs.simulator.defaults import CONVERSION_TYPES, DelayMixture
from labs.simulator.settings import Drift
from labs.simulator.world.delays import Delays
from labs.simulator.world.drift import drift_paths

DAY = 86_400


def test_delay_distribution_by_hand() -> None:
    minutes = DelayMixture(within_minutes=1, within_hours=0, minutes=5)
    days = DelayMixture(within_minutes=0, within_hours=0, days=30)
    half = DelayMixture(within_minutes=0.5, within_hours=0, minutes=5, days=30)
    delays = Delays([minutes, days, half], window_days=30)
    assert delays.cdf(0, 300) == pytest.approx(0.6321206)  # 1 - 1/e
    assert delays.cdf(1, 15 * DAY) == pytest.approx(0.6224593)  # (1 - e^-.5) / (1 - e^-1)
    assert delays.cdf(2, 15 * DAY) == pytest.approx(0.8112297)
    assert delays.cdf(1, [0, 30 * DAY, 90 * DAY]).tolist() == [0, 1, 1]


@pytest.mark.parametrize("kind", range(len(CONVERSION_TYPES)))
def test_drawn_delays_follow_the_distribution(kind: int) -> None:
    delays = Delays([each.delay for each in CONVERSION_TYPES], window_days=30)
    rng, n = np.random.default_rng(kind), 20_000
    kinds = np.full(n, kind, dtype=np.int32)
    drawn = delays.draw(kinds, rng.random(n), rng.random(n))
    assert drawn.min() >= 0
    assert drawn.max() < 30 * DAY
    # Whole seconds: the middle of each second stands for it.
    assert kstest(drawn + 0.5, lambda t: delays.cdf(kind, t)).pvalue > 1e-3


def test_harder_types_take_longer() -> None:
    delays = Delays([each.delay for each in CONVERSION_TYPES], window_days=30)
    late = [1 - float(delays.cdf(kind, 7 * DAY)) for kind in range(len(CONVERSION_TYPES))]
    # Types with the same delays may differ in the last bit, by the processor's vector lanes.
    assert all(after > before - 1e-12 for before, after in pairwise(late))
    assert late[-1] > 2 * late[0]


def test_a_third_converts_within_an_hour_and_half_within_a_day(simulated) -> None:
    converted = simulated.log[simulated.log.label == 1]
    delay = converted.conversion_timestamp - converted.timestamp
    assert (delay < 3600).mean() == pytest.approx(0.35, abs=0.04)
    assert (delay < DAY).mean() == pytest.approx(0.50, abs=0.04)
    assert delay.min() >= 0
    assert delay.max() < 30 * DAY
    assert (simulated.log.conversion_timestamp[simulated.log.label == 0] == -1).all()


def test_a_slow_world_keeps_a_share_of_the_quick_conversions() -> None:
    """Landing views: of .36 within minutes and .10 within hours a tenth; the others take 7 days."""
    fast = CONVERSION_TYPES[0].delay
    slow = fast.slower(0.1)
    assert (slow.within_minutes, slow.within_hours) == pytest.approx((0.036, 0.010))
    assert fast.slower(1.0) == fast
    delays = Delays([slow], window_days=30)
    # .046 and 954 thousandths of (1 - e^(-1/7)) / (1 - e^(-30/7)).
    assert delays.cdf(0, DAY) == pytest.approx(0.1748, abs=1e-3)


def test_drift_is_the_ar1_it_says() -> None:
    settings = Drift(rho=0.6, innovation_sd=0.12, jump_rate=0)
    wave, jumps = drift_paths(settings, 7, np.zeros(2000, dtype=np.int32), weeks=30)
    before, after = wave[:, :-1].ravel(), wave[:, 1:].ravel()
    rho = before @ after / (before @ before)
    assert rho == pytest.approx(0.6, abs=4 * np.sqrt((1 - 0.36) / before.size))
    residual = after - rho * before
    assert residual.std() == pytest.approx(0.12, rel=4 / np.sqrt(2 * before.size))
    # Stationary from the first week on: .12 / sqrt(1 - .36) = .15.
    assert wave[:, 0].std() == pytest.approx(0.15, rel=4 / np.sqrt(2 * 2000))
    assert not jumps.any()


def test_jumps_come_at_their_rate_and_stay() -> None:
    settings = Drift(jump_rate=0.02, jump_size=0.7)
    _, jumps = drift_paths(settings, 7, np.zeros(2000, dtype=np.int32), weeks=30)
    steps = np.diff(jumps, axis=1)
    assert set(np.round(np.unique(steps), 9)) <= {-0.7, 0.0, 0.7}
    n = steps.size
    assert (steps != 0).mean() == pytest.approx(0.02, abs=4 * np.sqrt(0.02 * 0.98 / n))
    up = (steps > 0).sum() / (steps != 0).sum()
    assert up == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt((steps != 0).sum()))


def test_drift_does_not_depend_on_what_comes_later() -> None:
    cohort = np.array([0, 0, 1, 1, 1, 3], dtype=np.int32)
    wave, jumps = drift_paths(Drift(jump_rate=0.5), 1, cohort, weeks=5)
    shorter = drift_paths(Drift(jump_rate=0.5), 1, cohort[:5], weeks=2)
    np.testing.assert_array_equal(wave[:5, :2], shorter[0])
    np.testing.assert_array_equal(jumps[:5, :2], shorter[1])
    assert not wave[2:, 0].any()
    assert not wave[5, :3].any()
    assert wave[5, 3] != 0


def test_the_true_rates_of_the_log_drift(simulated) -> None:
    """The AR(1) coefficient from the rates that were written, jumps taken out."""
    setups = simulated.setups
    week = (setups.date.astype("datetime64[ns]") - np.datetime64("2024-01-01")).dt.days // 7
    weekly = setups.assign(week=week).groupby(["setup_id", "week"]).cvr.first().unstack()
    whole = np.log(weekly / (1 - weekly)).dropna().to_numpy()
    step = np.diff(whole, axis=1)
    calm = whole[(np.abs(step) < 0.55).all(axis=1)]
    x = calm - calm.mean(axis=1, keepdims=True)
    # First differences of an AR(1) correlate by (rho - 1) / 2, free of the setups' levels.
    step = np.diff(x, axis=1)
    lag = (step[:, 1:] * step[:, :-1]).sum() / (step[:, 1:] ** 2 / 2 + step[:, :-1] ** 2 / 2).sum()
    assert 1 + 2 * lag == pytest.approx(0.6, abs=0.1)
    # Var of a step is 2 sd^2 / (1 + rho).
    assert step.std() == pytest.approx(0.12 * np.sqrt(2 / 1.6), rel=0.05)
