"""Completeness curves against the delays that the clicks were drawn from."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from components.task_labeler.calendar import Calendar
from components.task_labeler.decide.completeness import (
    AgeCurve,
    age_curve,
    cumulative,
    curves_of,
    curves_table,
)
from components.task_labeler.decide.counts import count_delays, merge_delays
from labs.simulator.defaults import CONVERSION_TYPES
from labs.simulator.world.delays import Delays

DAY = 86_400
WINDOW = 30
MIXTURES = {kind.name: kind.delay for kind in CONVERSION_TYPES}


def delays_of(
    category: np.ndarray, clicked: np.ndarray, converted: np.ndarray, days: int
) -> tuple[pa.Table, Calendar]:
    """Counted in two shards; what was not seen before day `days` is left out."""
    seen = np.where(converted < days * DAY, converted, -1)
    halves = (np.arange(len(seen)) % 2 == half for half in (0, 1))
    tables = [
        count_delays(pa.array(category[h].tolist()), clicked[h], seen[h], WINDOW) for h in halves
    ]
    return merge_delays(tables), Calendar(0, days)


def drawn(
    kinds: dict[str, int], days: int, seed: int = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray, Delays]:
    """So many conversions of each kind, from clicks spread over the days."""
    rng = np.random.default_rng(seed)
    delays = Delays([MIXTURES[name] for name in kinds], WINDOW)
    kind = np.repeat(np.arange(len(kinds), dtype=np.int32), list(kinds.values()))
    clicked = rng.integers(0, days * DAY, len(kind))
    delay = delays.draw(kind, rng.random(len(kind)), rng.random(len(kind)))
    return np.array(list(kinds))[kind], clicked, clicked + delay, delays


AGES = np.array([60, 600, 3600, 5 * 3600, DAY, 2 * DAY, 3 * DAY, 5 * DAY, 12 * DAY, 29 * DAY])


@pytest.mark.parametrize("days", [100, 45])
def test_agrees_with_the_simulators_delays(days: int) -> None:
    """Three kinds, the slowest and the fastest among them; with 45 days of clicks, a window of 30
    leaves most of them young, and what their late conversions are missing must not show."""
    names = sorted(MIXTURES, key=lambda name: MIXTURES[name].within_minutes)
    kinds = dict.fromkeys((names[0], names[len(names) // 2], names[-1]), 8000)
    category, clicked, converted, truth = drawn(kinds, days)
    table, calendar = delays_of(category, clicked, converted, days)
    curve = age_curve(table, calendar, WINDOW, days)
    for number, name in enumerate(kinds):
        found = curve.at(pa.array([name] * len(AGES)), AGES)
        assert found == pytest.approx(truth.cdf(number, AGES), abs=0.035)
    naive = np.mean((converted - clicked)[converted < days * DAY] < 3 * DAY)
    true = np.mean([truth.cdf(number, 3 * DAY) for number in range(3)])
    shown = curve.at(pa.array([None] * 1, pa.string()), np.array([3 * DAY]))
    assert abs(shown[0] - true) < 0.02 < naive - true if days == 45 else abs(shown[0] - true) < 0.02


def test_a_rare_category_leans_on_all() -> None:
    """Five conversions within a minute beside thousands that take days."""
    rng = np.random.default_rng(2)
    n = 4000
    clicked = rng.integers(0, 60 * DAY, n)
    delay = np.where(np.arange(n) < 5, 30, rng.integers(0, WINDOW * DAY, n))
    category = np.where(np.arange(n) < 5, "rare", "slow")
    curve = age_curve(*delays_of(category, clicked, clicked + delay, 95), WINDOW, 95)
    rare, slow, other = curve.at(pa.array(["rare", "slow", "never seen"]), np.full(3, 10 * DAY))
    assert slow == pytest.approx(1 / 3, abs=0.04)
    assert other == pytest.approx(slow, abs=0.01)
    assert slow + 0.01 < rare < 0.6


def test_hand_worked_hazards() -> None:
    """Delays of 0, 1 and 2 days, four days known. Clicks of day 0: one conversion each; of day 1:
    two at once; of day 2: one at once.

    Clicks that have shown a delay of 2 are those of day 0 and 1: hazard (1 + .3) / (5 + 1), with a
    guess of .3 that counts for one conversion. A delay of 1, those of days up to 2: of their 5
    conversions with a delay of at most 1, one took a day: (1 + .6) / 6 with a guess of .6. One
    category alone leans on these by 20 conversions.
    """
    converted = np.zeros((1, 4, 3))
    converted[0, 0], converted[0, 1, 0], converted[0, 2, 0] = 1, 2, 1
    guess = np.array([1.0, 0.6, 0.3])
    known, other = cumulative(converted, np.arange(3), np.array([4]), guess)
    late, later = 1.6 / 6, 1.3 / 6
    assert other[0] == pytest.approx([(1 - later) * (1 - late), 1 - later, 1])
    late, later = (1 + 20 * late) / 25, (1 + 20 * later) / 25
    assert known[0, 0] == pytest.approx([(1 - later) * (1 - late), 1 - later, 1])


def test_later_conversions_and_categories_change_no_bit() -> None:
    """The curve of day 50, whatever happened from then on."""
    names = sorted(MIXTURES)
    category, clicked, converted, _ = drawn(dict.fromkeys(names[:2], 500), 80)
    past = clicked < 50 * DAY
    then, calendar = delays_of(category[past], clicked[past], converted[past], 50)
    later, whole = delays_of(np.where(past, category, "new"), clicked, converted, 80)
    one = age_curve(then, calendar, WINDOW, 50)
    other = age_curve(later, whole, WINDOW, 50)
    for name in names[:2]:
        assert np.array_equal(one.shown[one.category[name]], other.shown[other.category[name]])
    assert np.array_equal(one.shown[-1], other.shown[-1])


def test_before_anything_is_seen_the_fourth_root_of_the_age_is_taken() -> None:
    """Half of the conversions within a sixteenth of the window."""
    table, calendar = delays_of(np.array([]), np.array([], int), np.array([], int), 40)
    curve = age_curve(table, calendar, WINDOW, 40)
    ages = np.array([45 * 3600, 48 * 3600, DAY, 90 * DAY])
    wanted = [0.5, (2 / 30) ** 0.25, (1 / 30) ** 0.25, 1]
    assert curve.at(pa.array(["a", "b", "c", None]), ages) == pytest.approx(wanted, abs=1e-6)


def test_curves_survive_their_file() -> None:
    ages = np.array([0, 60, DAY])
    judged = AgeCurve(ages, {"a": 0, "b": 1}, np.arange(9).reshape(3, 3) / 10)
    latest = AgeCurve(ages, {"a": 0, "b": 1}, np.arange(9, 18).reshape(3, 3) / 20)
    for wanted, found in zip(
        (judged, latest), curves_of(curves_table(judged, latest)), strict=True
    ):
        assert found.category == wanted.category
        assert np.array_equal(found.ages, wanted.ages)
        assert np.array_equal(found.shown, wanted.shown)
