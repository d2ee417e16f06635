"""Figures of the lab's pages, each an inline SVG element."""

from __future__ import annotations

from collections.abc import Sequence

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


def frontier_plot(points: Sequence[Point]) -> str:
    """A panel an alpha: flips across, wrong clicks up, colour half-life, marker band."""
    alphas = sorted({p.alpha for p in points})
    bands = sorted({p.band for p in points})
    half_lives = sorted({p.half_life_days for p in points})
    description = (
        f"{len(points)} combinations of {len(alphas)} alphas, {len(bands)} bands and "
        f"{len(half_lives)} half-lives; a line joins those that no other beats in both."
    )
    with drawing("frontier", "Flips against wrong sides", description, 3.6) as canvas:
        grid = canvas.figure.subplots(1, len(alphas), squeeze=False)
        for axes, alpha in zip(grid[0], alphas, strict=True):
            own = [p for p in points if p.alpha == alpha and p.measures.wrong_clicks is not None]
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
            axes.set_title(f"alpha {percent(alpha)}")
            axes.set_xlabel("flips per 1,000 setup-days")
            axes.set_xlim(left=0)
            axes.xaxis.set_major_locator(MaxNLocator(4))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(value)))
        grid[0][0].set_ylabel("clicks on the wrong side")
        for i, half_life in enumerate(half_lives):
            label = f"half-life {half_life:g} d"
            grid[0][0].scatter([], [], s=30, color=COLOURS[i % len(COLOURS)], label=label)
        for i, band in enumerate(bands):
            marker = MARKERS[i % len(MARKERS)]
            label = f"band {percent(band)}"
            grid[0][0].scatter([], [], s=30, marker=marker, color=GREY, label=label)
        handles = grid[0][0].get_legend_handles_labels()
        canvas.figure.legend(*handles, loc="outside lower center", ncols=4)
    return canvas.svg


def _place(point: Point) -> tuple[float, float]:
    return 1000 * (point.measures.flip_rate or 0.0), point.measures.wrong_clicks or 0.0


def _staircase(axes: Axes, efficient: list[Point]) -> None:
    places = sorted(_place(p) for p in efficient)
    axes.step([x for x, _ in places], [y for _, y in places], where="post", color=GREY, linewidth=1)


def alpha_plot(rows: Sequence[AlphaRow]) -> str:
    """Shares on the hard side, and what is wrong and flips, along alpha on a log axis."""
    alphas = [row.alpha for row in rows]
    chosen = next(row.alpha for row in rows if row.chosen)
    parts = [row.parts[0] for row in rows]
    flips = [1000 * (row.measures.flip_rate or 0.0) for row in rows]
    wrong = [row.measures.wrong_clicks for row in rows]
    description = (
        f"From alpha {percent(alphas[0])} to {percent(alphas[-1])} the hard share of clicks goes "
        f"from {percent(_of(parts[0].hard_clicks, parts[0].clicks))} to "
        f"{percent(_of(parts[-1].hard_clicks, parts[-1].clicks))}."
    )
    with drawing("alpha", "Along alpha", description, 3.0) as canvas:
        left, middle, right = canvas.figure.subplots(1, 3)
        for label, colour, shares in (
            ("setups", GREY, [_of(p.hard_setups, p.setups) for p in parts]),
            ("clicks", BLUE, [_of(p.hard_clicks, p.clicks) for p in parts]),
            ("conversions", VERMILION, [_of(p.hard_conversions, p.conversions) for p in parts]),
        ):
            left.plot(alphas, shares, marker="o", markersize=3, color=colour, label=label)
        left.set_title("Share on the hard side")
        left.legend()
        known = [(a, w) for a, w in zip(alphas, wrong, strict=True) if w is not None]
        middle.plot(
            [a for a, _ in known], [w for _, w in known], marker="o", markersize=3, color=BLUE
        )
        middle.set_title("Clicks on the wrong side")
        right.plot(alphas, flips, marker="o", markersize=3, color=VERMILION)
        right.set_title("Flips per 1,000 setup-days")
        for axes in (left, middle, right):
            axes.set_xscale("log")
            axes.set_xticks(_spread(alphas, chosen))
            axes.set_xticks([], minor=True)
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(value)))
            axes.axvline(chosen, color=INK, linewidth=1)
            axes.set_ylim(bottom=0)
            axes.set_xlabel("alpha")
        for axes in (left, middle):
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(value)))
    return canvas.svg


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
