"""Calibration by decile: figures by hand, and what its intervals hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import poisson

from components.evaluator.metrics.calibration_curve import equal_mass
from components.evaluator.metrics.deciles import Decile, deciles
from components.evaluator.settings import GateSettings
from components.evaluator.verdict.gate import Baseline, Verdict, judge


def apart(n: int) -> np.ndarray:
    return np.arange(n)


def test_bins_by_hand() -> None:
    prediction = np.array([0.5, 0.1, 0.2, np.nan, 0.4, 0.3])
    label = np.array([1.0, 0.0, 0.0, 1.0, 1.0, 0.0])
    low, high = deciles(label, prediction, apart(6), 2, 0.9)
    assert (low.number, low.of, low.examples, low.conversions) == (1, 2, 3, 0)
    assert low.predicted == pytest.approx(0.6)
    assert (high.examples, high.conversions) == (2, 2)
    assert high.ratio == pytest.approx(0.45)
    assert math.isinf(low.ratio)
    assert math.isinf(low.high)


def test_the_interval_is_a_poisson_counts() -> None:
    """Both ends are where the count lies in a tail of its Poisson: 5% over two bins, two-sided."""
    label = np.concatenate([np.ones(7), np.zeros(993)] * 2)
    prediction = np.concatenate([np.full(1000, 0.01), np.full(1000, 0.02)])
    for found, predicted in zip(
        deciles(label, prediction, apart(2000), 2, 0.9), (10.0, 20.0), strict=True
    ):
        assert found.ratio == pytest.approx(predicted / 7)
        least, most = predicted / found.high, predicted / found.low
        assert poisson.sf(6, least) == pytest.approx(0.025)
        assert poisson.cdf(7, most) == pytest.approx(0.025)


def test_no_conversion_has_a_lower_end() -> None:
    """-log(0.05) expected conversions leave none with a probability of 5%."""
    (found,) = deciles(np.zeros(100), np.full(100, 0.1), apart(100), 1, 0.9)
    assert found.low == pytest.approx(10 / -math.log(0.05))
    assert math.isinf(found.high)


def test_conversions_that_come_together_widen_the_interval() -> None:
    label = np.tile([1.0] + [0.0] * 9, 40)
    prediction = np.full(400, 0.1)
    (even,) = deciles(label, prediction, apart(400) // 10, 1, 0.9)
    lumped = np.concatenate([np.ones(40), np.zeros(360)])
    (uneven,) = deciles(lumped, prediction, apart(400) // 10, 1, 0.9)
    (single,) = deciles(label, prediction, apart(400), 1, 0.9)
    assert (even.low, even.high) == pytest.approx((single.low, single.high))
    # Four setups of ten conversions and 36 of none: phi = (4 * 81 + 36) / 40 = 9.
    (ninth,) = deciles(
        np.repeat([1.0, 0.0], [40, 360])[::9][:45], np.full(45, 0.1), apart(45), 1, 0.9
    )
    assert ninth.conversions == 5
    least, most = 40 / 9 / uneven.high, 40 / 9 / uneven.low
    assert poisson.sf(4, ninth.predicted / ninth.high) == pytest.approx(0.05)
    assert least < 40 / 9 < most
    assert most / least > 3 * (even.high / even.low)


@pytest.mark.parametrize("clustered", [False, True])
def test_a_calibrated_model_is_rarely_outside(clustered: bool) -> None:
    """All ten intervals hold 1 together in at least 85% of 200 draws; 90% is promised."""
    rng = np.random.default_rng(0)
    setup = np.repeat(np.arange(200), 20)
    held = 0
    for _ in range(200):
        prediction = np.exp(rng.normal(-3, 0.8, 4000)).clip(0, 0.5)
        lift = rng.choice([0.4, 1.6], 200)[setup] if clustered else 1.0
        label = (rng.random(4000) < prediction * lift).astype(float)
        found = deciles(label, prediction, setup, 10, 0.9)
        held += all(d.low <= 1 <= d.high for d in found)
    assert held >= 170


def test_equal_mass() -> None:
    groups = equal_mass(np.array([3.0, 1.0, np.nan, 2.0, 5.0, 4.0]), 2)
    assert [g.tolist() for g in groups] == [[1, 3, 0], [5, 4]]
    assert equal_mass(np.array([np.nan]), 3) == []
    assert len(equal_mass(np.array([1.0, 2.0]), 10)) == 2


def verdict(found: list[Decile], **settings: float) -> Verdict:
    records = [
        {"model": "candidate", "slice": "task=hard", "metric": metric, "value": value}
        for metric, value in {
            "positive_count": 200.0,
            "example_count": 20_000.0,
            "auc": 0.7,
            "rig": 0.05,
            "calibration": 1.0,
        }.items()
    ]
    return judge(records, (), GateSettings(**settings), Baseline(), found)


def decile(low: float, high: float, number: int = 3) -> Decile:
    return Decile(number, 10, 2000, 30.0, 20, low, high)


@pytest.mark.parametrize(
    ("low", "high", "passes"),
    [
        (0.9, 1.2, True),
        (2.0, 3.0, True),
        (2.01, 3.0, False),
        (0.1, 0.5, True),
        (0.1, 0.49, False),
        (0.3, math.inf, True),
        (2.5, math.inf, False),
    ],
)
def test_only_an_interval_wholly_outside_blocks(low: float, high: float, passes: bool) -> None:
    found = verdict([decile(0.9, 1.1, 1), decile(low, high)])
    assert found.blessed is passes
    conditions = [c for c in found.conditions if c.name == "decile_calibration"]
    assert [c.passed for c in conditions] == [True, passes]
    assert conditions[1].slice == "task=hard, prediction decile 3 of 10"
    assert conditions[1].value == pytest.approx(1.5)
    assert ("prediction decile 3 of 10 is 1.5" in found.summary) is not passes


def test_the_figures_are_in_words() -> None:
    detail = verdict([decile(0.8, 2.6)]).conditions[4].detail
    assert detail == (
        "calibration of the candidate on task=hard, prediction decile 3 of 10 is 1.5 [0.8, 2.6] "
        "(30.0 conversions predicted, 20 observed among 2,000 examples), wanted an interval that "
        "reaches into [0.5, 2]"
    )


def test_bounds_can_be_set() -> None:
    found = [decile(1.3, 1.9)]
    assert verdict(found).blessed
    assert not verdict(found, max_decile_calibration=1.2).blessed
    with pytest.raises(ValueError, match=r"min_decile_calibration 0\.5 must be below"):
        GateSettings(max_decile_calibration=0.5)
