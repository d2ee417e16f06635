"""Figures as inline SVG: one look, colours from the page, same bytes for the same data."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from html import escape

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

INK = "#1f2328"
MUTED = "#59636e"
GRID = "#d1d9e0"
PAPER = "#fefefe"
BLUE = "#0072b2"
ORANGE = "#e69f00"
VERMILION = "#d55e00"
GREY = "#75797e"

VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--grid",
    PAPER: "--paper",
    BLUE: "--blue",
    ORANGE: "--orange",
    VERMILION: "--vermilion",
    GREY: "--grey",
}
"""Drawn colour -> CSS variable of the page that may replace it, so that figures follow the dark
mode. Blue, orange and vermilion are of Okabe and Ito's palette for colour-blind readers."""

WIDTH = 4.8
"""Inches; 72 SVG units each. Narrow, so that a figure's text can be read on a telephone; wide
screens have several side by side."""

STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": GRID,
    "axes.grid": True,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 10,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "font.family": ["DejaVu Sans"],
    "font.size": 10,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "lines.linewidth": 1.8,
    "path.simplify_threshold": 0.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "hardtower",
    "text.color": INK,
    # Slices are named by the user's data, where `$` is a dollar.
    "text.parse_math": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
}


class Drawing:
    """A figure being drawn; `svg` is set when the block that draws it ends."""

    def __init__(self, figure: Figure) -> None:
        self.figure = figure
        self.svg = ""


@contextmanager
def drawing(name: str, title: str, unit: str, description: str, height: float) -> Iterator[Drawing]:
    """A figure of one pair of axes, turned into an element of a page at the end of the block.

    Args:
      name: prefix of the ids inside, unique on the page.
      title: stands above it.
      unit: what is drawn, in words, beside the title.
      description: what a screen reader says.
      height: inches.
    """
    with mpl.rc_context(STYLE):
        canvas = Drawing(Figure(figsize=(WIDTH, height)))
        yield canvas
        buffer = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        canvas.figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
        canvas.svg = figure(title, unit, _inline(buffer.getvalue(), name, title, description))


def figure(title: str, unit: str, content: str) -> str:
    """What is drawn, under its title and unit."""
    return (
        f'<figure class="plot"><figcaption><b>{escape(title)}</b> '
        f"<span>{escape(unit)}</span></figcaption>{content}</figure>"
    )


def _inline(document: str, name: str, title: str, description: str) -> str:
    """An SVG document as an element of a page."""
    svg = document[document.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    # Matplotlib's style element would apply to the whole page.
    svg = re.sub(r"<style.*?</style>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = svg.replace("url(#", f"url(#{name}-").replace('xlink:href="#', f'href="#{name}-')
    svg = re.sub(r"'DejaVu Sans'[^;\"]*", "var(--sans, sans-serif)", svg)
    for colour, variable in VARIABLES.items():
        svg = re.sub(f"(?<=[: ]){colour}", f"var({variable}, {colour})", svg)
    view = re.search(r'viewBox="[^"]*"', svg)
    head = (
        f'<svg {view.group() if view else ""} role="img" '
        f'aria-labelledby="{name}-title {name}-desc">'
        f'<title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-desc">{escape(description)}</desc>'
    )
    body = svg[svg.index(">") + 1 :]
    return head + "\n".join(line.strip() for line in body.splitlines() if line.strip())


def label_days(axes: Axes, days: list[date]) -> None:
    """Names up to six of the days on an x axis whose unit is the day's place in the list."""
    step = max(1, -(-len(days) // 6))
    places = list(range(0, len(days), step))
    axes.set_xticks(places, [days[i].strftime("%d %b") for i in places])
    axes.grid(False, axis="x")


def plain_counts(axes: Axes) -> None:
    """Whole numbers with thousands separators on a y axis that starts at 0."""
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def percent(value: float) -> str:
    """A share as a short percentage: 0.001 -> `0.1%`."""
    return f"{value * 100:.4g}%"


def sparkline(label: str, values: Sequence[float | None]) -> str:
    """A course of values as a small line without axes, as wide as there is room; the last is a dot.

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
