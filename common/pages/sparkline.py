"""A course of values as a small line without axes."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape


def sparkline(label: str, values: Sequence[float | None]) -> str:
    """An SVG element that takes the width there is; the last value is a dot.

    Args:
      label: what a screen reader says.
      values: in order, evenly apart; null leaves a gap in the line.
    """
    points = [(i, value) for i, value in enumerate(values) if value is not None]
    low = min((value for _, value in points), default=0.0)
    high = max((value for _, value in points), default=1.0)
    steps = max(len(values) - 1, 1)

    def place(point: tuple[int, float]) -> tuple[str, str]:
        i, value = point
        up = (value - low) / (high - low) if high > low else 0.5
        return f"{2.0 + 95.0 * i / steps:.2f}%", f"{90.0 - 80.0 * up:.2f}%"

    places = [place(point) for point in points]
    lines = "".join(
        f'<line x1="{a[0]}" y1="{a[1]}" x2="{b[0]}" y2="{b[1]}"/>'
        for (i, _), (j, _), a, b in zip(points, points[1:], places, places[1:], strict=False)
        if j == i + 1
    )
    dot = f'<circle cx="{places[-1][0]}" cy="{places[-1][1]}" r="3.5"/>' if places else ""
    return f'<svg class="spark" role="img" aria-label="{escape(label)}">{lines}{dot}</svg>'
