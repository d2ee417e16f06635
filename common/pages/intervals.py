"""Interval plots: a line an estimate, made of elements that take the width there is.

A drawing scales its text with its width, and a telephone's is a fifth of a desk's. Here names and
figures are the page's own text, and places along the scale are percentages of what is left.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from statistics import median
from typing import Literal

from matplotlib.ticker import MaxNLocator

from common.pages.svg import figure
from common.pages.text import DASH, signed

FAR = 6.0
"""Times the median reach of a plot's intervals beyond which one is cut off at the edge: a part of
few conversions would flatten all others."""

MARGIN = 3.0
"""Percent of the width at either end that stays free of marks."""


@dataclass(frozen=True)
class IntervalLine:
    """One estimate.

    Attributes:
      estimate, low, high: null where not defined.
      note: shown small below the name.
    """

    name: str
    estimate: float | None
    low: float | None
    high: float | None
    note: str = ""

    def less(self, value: float) -> IntervalLine:
        """With another zero: the estimate and its ends less a value."""

        def shifted(place: float | None) -> float | None:
            return None if place is None else place - value

        ends = shifted(self.low), shifted(self.high)
        return IntervalLine(self.name, shifted(self.estimate), *ends, self.note)


def intervals(
    title: str,
    unit: str,
    lines: Sequence[IntervalLine],
    *,
    show: Callable[[float], str] = signed,
    tick: Callable[[float], str] = "{:.3g}".format,
    good: Literal["above", "below", "at"] = "above",
) -> str:
    """Lines with a dot and an interval each, and zero as a line through all.

    Blue is an interval wholly on the good side of zero, vermilion one wholly on a bad one; grey
    has zero in it, or has no ends.

    Args:
      unit: of the scale, in words.
      show: a value in words, beside the line.
      tick: the same on the scale.
      good: where values should be, `above` or `below` zero; `at` zero both sides are bad.
    """
    low, high = _range(lines)
    reach = high - low

    def place(value: float) -> float:
        return MARGIN + (100.0 - 2.0 * MARGIN) * (value - low) / reach

    zero = _line("zero", place(0.0), place(0.0), "0", "100%")
    rows = []
    for line in lines:
        marks = _marks(line, low, high, place, good)
        words = _words(line, show)
        rows.append(
            f'<div class="line"><div class="what">{escape(line.name)}'
            f"{f' <small>{escape(line.note)}</small>' if line.note else ''}</div>"
            f'<svg role="img" aria-label="{escape(f"{title}: {line.name}: {words}")}">'
            f"{zero}{marks}</svg>"
            f'<div class="figures">{_beside(line, show)}</div></div>'
        )
    ticks = [t for t in MaxNLocator(4).tick_values(low, high) if low <= t <= high]
    axis = "".join(
        f'<text x="{place(t):.2f}%" y="12" text-anchor="middle">'
        f"{escape(tick(0.0 if abs(t) < reach * 1e-9 else t))}</text>"
        for t in ticks
    )
    rows.append(f'<div class="line axis" aria-hidden="true"><svg>{axis}</svg></div>')
    return figure(title, unit, f'<div class="lines">{"".join(rows)}</div>')


def _range(lines: Sequence[IntervalLine]) -> tuple[float, float]:
    """Ends of the scale, zero among what it holds."""
    points = [
        [v for v in (line.estimate, line.low, line.high) if v is not None and math.isfinite(v)]
        for line in lines
    ]
    reaches = [max(map(abs, values)) for values in points if values]
    limit = FAR * median(reaches) if reaches else 0.0
    shown = [0.0, *(max(-limit, min(limit, v)) for values in points for v in values)]
    low, high = min(shown), max(shown)
    return (low, high) if high > low else (-1.0, 1.0)


def _words(line: IntervalLine, show: Callable[[float], str]) -> str:
    if line.estimate is None or not math.isfinite(line.estimate):
        return DASH
    if line.low is None or line.high is None:
        return show(line.estimate)
    return f"{show(line.estimate)} [{show(line.low)}, {show(line.high)}]"


def _beside(line: IntervalLine, show: Callable[[float], str]) -> str:
    words = escape(_words(line, show))
    value, _, ends = words.partition(" ")
    return f"{value} <small>{ends}</small>" if ends else value


def _marks(
    line: IntervalLine, low: float, high: float, place: Callable[[float], float], good: str
) -> str:
    if line.estimate is None or not math.isfinite(line.estimate):
        return ""
    tone, bar = "unclear", ""
    if line.low is not None and line.high is not None:
        if line.low > 0.0 or line.high < 0.0:
            side = "below" if line.high < 0.0 else "above"
            tone = "better" if side == good else "worse"
        start, end = max(low, line.low), min(high, line.high)
        if start <= end:
            bar = _line("bar", place(start), place(end), "50%", "50%")
    values = [v for v in (line.estimate, line.low, line.high) if v is not None]
    cut = [_arrow(place(low), _LEFT)] if min(values) < low else []
    cut += [_arrow(place(high), _RIGHT)] if max(values) > high else []
    dot = ""
    if low <= line.estimate <= high:
        dot = f'<circle cx="{place(line.estimate):.2f}%" cy="50%" r="5"/>'
    return f'<g class="{tone}">{bar}{dot}{"".join(cut)}</g>'


_LEFT, _RIGHT = "\N{BLACK LEFT-POINTING TRIANGLE}", "\N{BLACK RIGHT-POINTING TRIANGLE}"


def _arrow(at: float, towards: str) -> str:
    """Where a line goes on beyond the edge."""
    return f'<text x="{at:.2f}%" y="16" text-anchor="middle">{towards}</text>'


def _line(name: str, x1: float, x2: float, y1: str, y2: str) -> str:
    return f'<line class="{name}" x1="{x1:.2f}%" x2="{x2:.2f}%" y1="{y1}" y2="{y2}"/>'
