"""Figures of the task assignment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
from matplotlib.ticker import FuncFormatter, NullFormatter

from common.pages.svg import (
    BLUE,
    INK,
    MUTED,
    ORANGE,
    VERMILION,
    drawing,
    label_days,
    percent,
    plain_counts,
)

Day = Mapping[str, Any]
"""A day of `stability.json`: `day` (ISO), `hard_setups`, `soft_setups`, `hard_clicks`,
`soft_clicks`, `flips`, `churned_clicks`."""


def assignment_by_day(days: Sequence[Day]) -> str:
    """Hard and soft setups, and clicks on them, stacked by day: two figures."""
    dates = [date.fromisoformat(day["day"]) for day in days]
    first, last = days[0], days[-1]
    description = (
        f"From {first['day']} to {last['day']}: hard setups {first['hard_setups']} to "
        f"{last['hard_setups']}, soft setups {first['soft_setups']} to {last['soft_setups']}."
    )
    drawn = []
    for what in ("setups", "clicks"):
        title = f"Hard and soft {what}"
        with drawing(f"assignment-{what}", title, f"{what} a day", description, 2.7) as canvas:
            axes = canvas.figure.subplots()
            hard, soft = ([day[f"{task}_{what}"] for day in days] for task in ("hard", "soft"))
            axes.stackplot(
                range(len(days)), hard, soft, colors=[BLUE, ORANGE], labels=["hard", "soft"]
            )
            axes.margins(x=0)
            label_days(axes, dates)
            plain_counts(axes)
            canvas.figure.legend(loc="outside lower center", ncols=2)
        drawn.append(canvas.svg)
    return "".join(drawn)


def flips_by_day(days: Sequence[Day]) -> str:
    """Setups that changed side, and the share of clicks on them, by day: two figures."""
    dates = [date.fromisoformat(day["day"]) for day in days]
    flips = [day["flips"] for day in days]
    clicks = np.array([day["hard_clicks"] + day["soft_clicks"] for day in days], float)
    churned = np.array([day["churned_clicks"] for day in days], float)
    share = churned / np.maximum(clicks, 1)
    description = f"{sum(flips)} flips over {len(days)} days, at most {max(flips)} on one day."
    drawn = []
    for name, title, unit, values in (
        ("flips-setups", "Changes of side", "setups a day", flips),
        ("flips-clicks", "Clicks on setups that changed side", "share of the day's clicks", share),
    ):
        with drawing(name, title, unit, description, 2.3) as canvas:
            axes = canvas.figure.subplots()
            axes.bar(range(len(days)), values, color=VERMILION, width=0.9)
            label_days(axes, dates)
            if values is flips:
                plain_counts(axes)
            else:
                axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(value)))
            axes.set_ylim(bottom=0, top=None if any(values) else 1)
        drawn.append(canvas.svg)
    return "".join(drawn)


def cvr_distribution(cvrs: Sequence[float], alpha: float, online_alpha: float) -> str:
    """Setups by historical CVR on a log axis, with the two thresholds.

    Args:
      cvrs: historical CVR of each setup; zeros are drawn in the lowest bin.
    """
    values = np.asarray(cvrs, float)
    positive = np.append(values[values > 0], [alpha, online_alpha])
    low, high = np.log10(positive.min() * 0.8), np.log10(min(1.0, positive.max() * 1.25))
    # Edges pass through alpha, so that no bar lies on both sides of it.
    step = max((high - low) / 36, 0.02)
    centre = np.log10(alpha)
    below, above = np.ceil((centre - low) / step), np.ceil((high - centre) / step)
    edges = 10 ** (centre + step * np.arange(-below, above + 1))
    edges[int(below)] = alpha
    # Bins open on the left, closed on the right: a CVR of alpha itself is hard.
    place = np.clip(np.searchsorted(edges, values, side="left") - 1, 0, len(edges) - 2)
    counts = np.bincount(place, minlength=len(edges) - 1)
    hard = int((values <= alpha).sum())
    description = (
        f"{len(values)} setups, {hard} with a historical CVR of at most {percent(alpha)}; the "
        f"routing table's threshold is {percent(online_alpha)}."
    )
    with drawing("cvr", "Setups by historical CVR", "number of setups", description, 2.9) as canvas:
        axes = canvas.figure.subplots()
        colours = [BLUE if edge <= alpha else ORANGE for edge in edges[1:]]
        axes.bar(edges[:-1], counts, np.diff(edges), align="edge", color=colours)
        axes.set_xscale("log")
        axes.axvline(alpha, color=INK, linewidth=1.2)
        axes.axvline(online_alpha, color=MUTED, linewidth=1.2, linestyle=(0, (4, 2)))
        top = max(int(counts.max()), 1) * 1.12
        notes = (
            (f" alpha {percent(alpha)}", alpha, "left", INK),
            (f"online alpha {percent(online_alpha)} ", online_alpha, "right", MUTED),
        )
        for text, x, side, colour in notes:
            axes.text(x, top, text, ha=side, va="top", color=colour)
        axes.set_ylim(0, top)
        axes.set_xlabel("historical CVR of the setup on the as-of day")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(value)))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.grid(False, axis="x")
        plain_counts(axes)
    return canvas.svg
