"""Figures of the lab's pages, each an inline SVG element."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from common.pages.svg import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    PAPER,
    VERMILION,
    drawing,
    percent,
)
from labs.stability_lab.alpha import AlphaRow
from labs.stability_lab.replay.frontier import Point

COLOURS = (BLUE, ORANGE, VERMILION, GREY, INK)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


def frontier_plots(points: Sequence[Point]) -> list[str]:
    """A figure an alpha: flips across, wrong clicks up, colour half-life, marker band."""
    bands = sorted({p.band for p in points})
    half_lives = sorted({p.half_life_days for p in points})
    drawn = []
    for number, alpha in enumerate(sorted({p.alpha for p in points})):
        own = [p for p in points if p.alpha == alpha and p.measures.wrong_clicks is not None]
        description = (
            f"{len(own)} combinations of {len(bands)} bands and {len(half_lives)} half-lives at "
            f"alpha {percent(alpha)}; a line joins those that no other beats in both."
        )
        title, unit = f"Alpha {percent(alpha)}", "clicks on the wrong side by flips"
        with drawing(f"frontier-{number}", title, unit, description, 4.0) as canvas:
            axes = canvas.figure.subplots()
            _staircase(axes, [p for p in own if p.efficient])
            for p in own:
                axes.scatter(
                    *_place(p),
                    s=70 if p.chosen else 30,
                    marker=MARKERS[bands.index(p.band) % len(MARKERS)],
                    color=COLOURS[half_lives.index(p.half_life_days) % len(COLOURS)],
                    edgecolor=INK if p.chosen else PAPER,
                    linewidth=1.4 if p.chosen else 0.4,
                    zorder=3,
                )
            axes.set_xlabel("flips per 1,000 setup-days")
            axes.set_xlim(left=0)
            axes.xaxis.set_major_locator(MaxNLocator(4))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(value)))
            axes.set_ylabel("clicks on the wrong side")
            for i, half_life in enumerate(half_lives):
                label = f"half-life {half_life:g} d"
                axes.scatter([], [], s=30, color=COLOURS[i % len(COLOURS)], label=label)
            for i, band in enumerate(bands):
                marker = MARKERS[i % len(MARKERS)]
                axes.scatter([], [], s=30, marker=marker, color=GREY, label=f"band {percent(band)}")
            canvas.figure.legend(loc="outside lower center", ncols=3)
        drawn.append(canvas.svg)
    return drawn


def _place(point: Point) -> tuple[float, float]:
    return 1000 * (point.measures.flip_rate or 0.0), point.measures.wrong_clicks or 0.0


def _staircase(axes: Axes, efficient: list[Point]) -> None:
    places = sorted(_place(p) for p in efficient)
    axes.step([x for x, _ in places], [y for _, y in places], where="post", color=GREY, linewidth=1)


def alpha_plots(rows: Sequence[AlphaRow]) -> list[str]:
    """Shares on the hard side, what is wrong, and flips, along alpha on a log axis."""
    alphas = [row.alpha for row in rows]
    chosen = next(row.alpha for row in rows if row.chosen)
    parts = [row.parts[0] for row in rows]
    shares = {
        "setups": (GREY, [_of(p.hard_setups, p.setups) for p in parts]),
        "clicks": (BLUE, [_of(p.hard_clicks, p.clicks) for p in parts]),
        "conversions": (VERMILION, [_of(p.hard_conversions, p.conversions) for p in parts]),
    }
    wrong = [nan if (w := row.measures.wrong_clicks) is None else w for row in rows]
    flips = [1000 * (row.measures.flip_rate or 0.0) for row in rows]
    panels: tuple[tuple[str, str, str, dict[str, tuple[str, list[float]]]], ...] = (
        ("hard", "On the hard side", "share by alpha", shares),
        ("wrong", "Clicks on the wrong side", "share by alpha", {"": (BLUE, wrong)}),
        ("flips", "Flips", "per 1,000 setup-days, by alpha", {"": (VERMILION, flips)}),
    )
    drawn = []
    for name, title, unit, series in panels:
        changes = "; ".join(
            f"{label} {values[0]:.3g} to {values[-1]:.3g}".strip()
            for label, (_, values) in series.items()
        )
        description = f"From alpha {percent(alphas[0])} to {percent(alphas[-1])}: {changes}."
        with drawing(f"alpha-{name}", title, unit, description, 3.0) as canvas:
            axes = canvas.figure.subplots()
            for label, (colour, values) in series.items():
                axes.plot(alphas, values, marker="o", markersize=3, color=colour, label=label)
            if len(series) > 1:
                axes.legend()
            axes.set_xscale("log")
            axes.set_xticks(_spread(alphas, chosen))
            axes.set_xticks([], minor=True)
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(value)))
            axes.axvline(chosen, color=INK, linewidth=1)
            axes.set_ylim(bottom=0)
            axes.set_xlabel("alpha")
            if series is not panels[-1][-1]:
                axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(value)))
        drawn.append(canvas.svg)
    return drawn


def _spread(alphas: Sequence[float], chosen: float) -> list[float]:
    """Some of the alphas, the chosen one among them, each at least twice the one before it."""
    ticks = [chosen]
    for alpha in reversed([a for a in alphas if a < chosen]):
        if 2 * alpha <= ticks[0]:
            ticks.insert(0, alpha)
    for alpha in [a for a in alphas if a > chosen]:
        if alpha >= 2 * ticks[-1]:
            ticks.append(alpha)
    return ticks


def _of(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
