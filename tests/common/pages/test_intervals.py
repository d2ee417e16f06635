"""Interval plots: places, colours and words, read back from what is drawn."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.pages.intervals import FAR, IntervalLine, intervals
from common.pages.svg import sparkline


def figure(*lines: IntervalLine, **how: object) -> ET.Element:
    return ET.fromstring(intervals("Gain", "RIG", lines, **how))


def rows(drawn: ET.Element) -> list[ET.Element]:
    return [r for r in drawn.iter("div") if r.get("class") == "line"]


def tone(row: ET.Element) -> str | None:
    [group] = row.iter("g")
    return group.get("class")


def percent(value: str | None) -> float:
    assert value is not None
    return float(value.removesuffix("%"))


def place_of(row: ET.Element) -> float:
    [dot] = row.iter("circle")
    return percent(dot.get("cx"))


def zero_of(row: ET.Element) -> float:
    return next(percent(e.get("x1")) for e in row.iter("line") if e.get("class") == "zero")


def test_places_are_shares_of_the_scale() -> None:
    """From -1 to 3 on 94 % of the width, after 3 %: zero a quarter along."""
    [low, high] = rows(figure(IntervalLine("a", -0.5, -1.0, 0.0), IntervalLine("b", 1.0, 0.0, 3.0)))
    assert zero_of(low) == zero_of(high) == pytest.approx(3 + 94 / 4, abs=0.01)
    assert place_of(low) == pytest.approx(3 + 94 / 8, abs=0.01)
    assert place_of(high) == pytest.approx(3 + 94 / 2, abs=0.01)
    [bar] = [e for e in high.iter("line") if e.get("class") == "bar"]
    assert (percent(bar.get("x1")), percent(bar.get("x2"))) == pytest.approx((26.5, 97), abs=0.01)


@pytest.mark.parametrize(
    ("low", "high", "good", "wanted"),
    [
        (0.1, 0.3, "above", "better"),
        (0.1, 0.3, "below", "worse"),
        (0.1, 0.3, "at", "worse"),
        (-0.3, -0.1, "above", "worse"),
        (-0.3, -0.1, "below", "better"),
        (-0.3, -0.1, "at", "worse"),
        (-0.1, 0.3, "above", "unclear"),
        (0.0, 0.3, "above", "unclear"),
        (-0.1, 0.3, "at", "unclear"),
        (0.1, None, "above", "unclear"),
    ],
)
def test_colour_tells_the_side(low: float, high: float | None, good: str, wanted: str) -> None:
    [row] = rows(figure(IntervalLine("a", 0.2, low, high), good=good))
    assert tone(row) == wanted


def test_a_reader_without_sight_hears_the_same() -> None:
    hostile = '<b>"x" & y</b>'
    drawn = figure(
        IntervalLine(hostile, 0.02514, 0.01, 0.0433), IntervalLine("b", None, None, None)
    )
    assert [e.get("aria-label") for e in drawn.iter("svg") if e.get("role") == "img"] == [
        f"Gain: {hostile}: +0.0251 [+0.0100, +0.0433]",
        "Gain: b: \N{EN DASH}",
    ]
    assert [part.text for part in drawn[0]] == ["Gain", "RIG"]


def test_one_far_off_does_not_flatten_the_others() -> None:
    near = [IntervalLine(f"n{i}", 0.01, -0.02, 0.03) for i in range(5)]
    *others, far = rows(figure(*near, IntervalLine("far", 9.0, 5.0, 12.0)))
    assert not list(far.iter("circle"))
    [arrow] = [t.text for t in far.iter("text")]
    assert arrow == "\N{BLACK RIGHT-POINTING TRIANGLE}"
    # The scale ends at FAR times the median reach.
    wanted = 3 + 94 * (0.01 + 0.02) / (FAR * 0.03 + 0.02)
    assert place_of(others[0]) == pytest.approx(wanted, abs=0.01)


@pytest.mark.parametrize(
    ("low", "high", "arrows"),
    [
        (0.05, 12.0, ["\N{BLACK RIGHT-POINTING TRIANGLE}"]),
        (-12.0, 0.15, ["\N{BLACK LEFT-POINTING TRIANGLE}"]),
        (0.05, 0.15, []),
    ],
)
def test_an_interval_that_is_cut_off_says_where_it_goes_on(
    low: float, high: float, arrows: list[str]
) -> None:
    near = [IntervalLine(f"n{i}", 0.01, -0.02, 0.03) for i in range(5)]
    *_, cut = rows(figure(*near, IntervalLine("cut", 0.1, low, high)))
    assert len(list(cut.iter("circle"))) == 1
    assert [t.text for t in cut.iter("text")] == arrows


def test_less_moves_the_zero() -> None:
    line = IntervalLine("level", 1.25, 0.75, None, note="n").less(1.0)
    assert line == IntervalLine("level", 0.25, -0.25, None, note="n")


values = st.one_of(st.none(), st.floats(-1e6, 1e6), st.just(math.nan), st.just(math.inf))


@given(st.lists(st.tuples(values, values, values), max_size=6))
def test_nothing_lies_outside_the_width(points: list[tuple[float | None, ...]]) -> None:
    drawn = figure(*(IntervalLine("x", *point) for point in points))
    assert len(rows(drawn)) == len(points)
    for element in drawn.iter():
        for name in ("x1", "x2", "cx", "x"):
            if (at := element.get(name)) is not None:
                assert 2.9 <= percent(at) <= 97.1


def test_a_sparkline_leaves_gaps_and_marks_the_last() -> None:
    drawn = ET.fromstring(sparkline("RIG", [1.0, 2.0, None, 3.0, 2.0]))
    assert drawn.get("aria-label") == "RIG"
    lines = [(percent(e.get("x1")), percent(e.get("x2"))) for e in drawn.iter("line")]
    assert lines == [(2.0, 25.75), (73.25, 97.0)]
    [dot] = drawn.iter("circle")
    # Up is small: 2 lies in the middle of 1 to 3.
    assert (percent(dot.get("cx")), percent(dot.get("cy"))) == (97.0, 50.0)


@pytest.mark.parametrize("course", [[], [None], [0.5], [1.0, 1.0]])
def test_short_and_flat_courses(course: list[float | None]) -> None:
    drawn = ET.fromstring(sparkline("x", course))
    assert all(percent(c.get("cy")) == 50.0 for c in drawn.iter("circle"))
