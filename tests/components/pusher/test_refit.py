"""What a refit has to show, by hand-made clicks whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest

from components.pusher.refit import (
    NewClicks,
    distance_check,
    knowledge_check,
    level_check,
)
from components.pusher.settings import RefitSettings

SETTINGS = RefitSettings()


def clicks(n: int, rate: float, seed: int = 1, setups: int = 60) -> NewClicks:
    """Clicks of one true rate, half of whose conversions have been seen of every second one."""
    rng = np.random.default_rng(seed)
    completeness = np.where(np.arange(n) % 2, 1.0, 0.5)
    label = (rng.random(n) < rate * completeness).astype(np.float64)
    return NewClicks(
        [b""] * n, label, completeness, np.arange(n) % 3 == 0, rng.integers(0, setups, n)
    )


@pytest.mark.parametrize(
    ("factor", "passed"), [(1.0, True), (1.2, True), (1.6, False), (0.6, False), (0.85, True)]
)
def test_the_level_counts_what_can_have_been_seen(factor: float, passed: bool) -> None:
    """The true rate has level 1 though a quarter of all conversions is still to come."""
    new = clicks(40_000, 0.05)
    everything = np.ones(len(new), bool)
    check = level_check("level_all", new, everything, np.full(len(new), 0.05 * factor), SETTINGS)
    assert check.passed is passed
    assert check.figures["level"] == pytest.approx(factor, rel=0.08)
    low, high = check.figures["low"], check.figures["high"]
    assert low is not None
    assert high is not None
    assert low < check.figures["level"] < high
    assert check.figures["expected"] == pytest.approx(0.05 * factor * 0.75 * 40_000)
    assert check.figures["observed"] == new.label.sum()
    naive = np.full(len(new), 0.05).sum() / new.label.sum()
    assert naive > 1.25


def test_the_level_of_hard_clicks_is_their_own() -> None:
    new = clicks(30_000, 0.05)
    predictions = np.where(new.hard, 0.15, 0.05)
    check = level_check("level_hard", new, new.hard, predictions, SETTINGS)
    assert not check.passed
    assert check.figures["clicks"] == new.hard.sum()
    assert check.figures["observed"] == new.label[new.hard].sum()


@pytest.mark.parametrize(
    ("factor", "most_refused", "least_refused"),
    [(1.0, 0.02, 0.0), (1.25, 0.09, 0.005), (0.8, 0.09, 0.005), (2.5, 1.0, 0.7)],
)
def test_how_often_a_true_level_is_refused(
    factor: float, most_refused: float, least_refused: float
) -> None:
    """Some 40 conversions of 80 setups whose own levels differ: 1 hardly ever, the edges of the
    tolerance in one of twenty draws."""
    rng = np.random.default_rng(7)
    n, refused = 6_000, 0
    completeness = np.where(np.arange(n) % 2, 1.0, 0.5)
    for _ in range(300):
        setup = rng.integers(0, 80, n)
        predicted = np.exp(rng.normal(-4.9, 0.8, 80))[setup]
        true = predicted * rng.choice([0.6, 1.4], 80)[setup]
        label = (rng.random(n) < true * completeness).astype(np.float64)
        new = NewClicks([b""] * n, label, completeness, np.ones(n, bool), setup)
        refused += not level_check("l", new, new.hard, predicted * factor, SETTINGS).passed
    assert 300 * least_refused <= refused <= 300 * most_refused


def test_few_conversions_refuse_nothing() -> None:
    """Two conversions where five were expected: the interval reaches the wanted level."""
    label = np.zeros(1000)
    label[[3, 500]] = 1
    new = NewClicks([b""] * 1000, label, np.ones(1000), np.ones(1000, bool), np.arange(1000) // 100)
    assert level_check("level_all", new, new.hard, np.full(1000, 0.005), SETTINGS).passed


@pytest.mark.parametrize(("expected", "passed"), [(3.7, True), (3.8, False)])
def test_no_conversion_at_all(expected: float, passed: bool) -> None:
    """The rule of three: where none is seen 3.00 may have been expected, times a level of 1.25."""
    new = NewClicks([b""] * 100, np.zeros(100), np.ones(100), np.ones(100, bool), np.arange(100))
    check = level_check("level_all", new, new.hard, np.full(100, expected / 100), SETTINGS)
    assert check.passed is passed
    assert check.detail == f"{expected} conversions expected of 100 clicks, 0 observed"
    assert (check.figures["level"], check.figures["high"]) == (None, None)
    nobody = level_check("level_hard", new, ~new.hard, np.full(100, 0.5), SETTINGS)
    assert nobody.passed


def test_the_distance_is_in_log_odds_and_ranks() -> None:
    """All log-odds moved by a half: 0.5 apart, in the same order."""
    odds = np.linspace(-6, -2, 500)
    judged, moved = 1 / (1 + np.exp(-odds)), 1 / (1 + np.exp(-odds - 0.5))
    check = distance_check(moved, judged, SETTINGS)
    assert check.passed
    assert check.figures["log_odds"] == pytest.approx(0.5)
    assert check.figures["rank_correlation"] == pytest.approx(1.0)
    assert not distance_check(1 / (1 + np.exp(-odds - 2.5)), judged, SETTINGS).passed
    assert not distance_check(judged[::-1], judged, SETTINGS).passed
    constant = distance_check(np.full(500, 0.02), judged, SETTINGS)
    assert not constant.passed
    assert constant.figures["rank_correlation"] is None


def history(rows: list[tuple[str, int, int]]) -> pa.Table:
    names = ("setup_id", "day", "clicks")
    return pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))


def test_knowledge_of_the_last_week() -> None:
    """As of day 100. Of the 100 clicks of the last week, `old` has 60 and is known to both; `new`
    has 30 and begins on day 95; `today` has 10, on a day that no fit was trained on."""
    rows = [("old", 10, 7), ("old", 97, 60), ("new", 95, 30), ("today", 99, 10), ("gone", 20, 5)]
    found = knowledge_check(
        history([*rows, ("old", 100, 0), ("gone", 100, 0)]),
        {"judged": (5, 60), "served": (5, 98)},
        100,
        SETTINGS,
    )
    assert found.figures == {
        "judged_setups": pytest.approx(1 / 3),
        "judged_clicks": pytest.approx(0.6),
        "served_setups": pytest.approx(2 / 3),
        "served_clicks": pytest.approx(0.9),
    }
    assert found.passed
    least = SETTINGS.model_copy(update={"min_known_clicks": 0.91})
    trained = {"judged": (5, 60), "served": (5, 98)}
    assert not knowledge_check(history(rows), trained, 100, least).passed


def test_the_last_week_is_the_last_one_with_clicks() -> None:
    rows = [("old", 10, 7), ("old", 80, 60), ("early", 73, 40)]
    found = knowledge_check(history(rows), {"judged": (5, 60), "served": (5, 99)}, 100, SETTINGS)
    assert found.figures["served_clicks"] == 1
    assert found.figures["judged_setups"] == 1
    assert math.isclose(found.figures["judged_clicks"] or 0, 1)
