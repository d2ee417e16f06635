"""Figures of what has changed since the last pushed version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import FuncFormatter, NullFormatter

from common.pages.svg import BLUE, GREY, INK, MUTED, VERMILION, drawing, percent

SHOWN_FEATURES = 15
LONGEST_LABEL = 24
LOWEST_CVR = 1e-5
"""Setups below are drawn at this CVR: the axes are logarithmic."""


def feature_distances(distances: Sequence[Mapping[str, Any]], kind: str, title: str) -> str:
    """Distance of each feature as a share of its threshold, the farthest at the top.

    Args:
      distances: records of `gate.json`, at least one of the kind.
      kind: `drift` or `skew`.
    """
    mine = sorted((d for d in distances if d["kind"] == kind), key=lambda d: -_reach(d))
    shown = mine[:SHOWN_FEATURES][::-1]
    above = sum(_reach(d) > 1 for d in mine)
    description = f"{len(mine)} features, {above} farther than their threshold."
    unit = "distance over its threshold"
    with drawing(kind, title, unit, description, 0.9 + 0.22 * len(shown)) as canvas:
        axes = canvas.figure.subplots()
        reach = [_reach(d) for d in shown]
        colours = [VERMILION if r > 1 else BLUE for r in reach]
        axes.barh(range(len(shown)), reach, color=colours, height=0.7)
        axes.set_yticks(range(len(shown)), [_label(d["feature"]) for d in shown])
        axes.axvline(1, color=INK, linewidth=1.2)
        axes.set_xlim(0, max(1.1, max(reach) * 1.05))
        axes.set_xlabel(unit)
        axes.grid(False, axis="y")
    return canvas.svg


def cvr_changes(
    points: Sequence[tuple[float, float, bool]], online_alpha: float | None = None
) -> str:
    """Historical CVR of each setup before and now, on log axes; those that changed task stand out.

    Args:
      points: CVR before, CVR now, whether the task changed; at least one.
      online_alpha: threshold of the routing table.
    """
    before, after = (
        np.maximum(np.array([p[i] for p in points], float), LOWEST_CVR) for i in (0, 1)
    )
    changed = np.array([p[2] for p in points])
    description = f"{len(points)} setups in both tables, {int(changed.sum())} with another task."
    low = min(before.min(), after.min()) * 0.8
    high = max(before.max(), after.max()) * 1.25
    title, unit = "Historical CVR before and now", "a dot a setup"
    with drawing("moves", title, unit, description, 3.8) as canvas:
        axes = canvas.figure.subplots()
        axes.plot([low, high], [low, high], color=MUTED, linewidth=1, zorder=1)
        for which, colour, label in (
            (~changed, GREY, "same task"),
            (changed, VERMILION, "changed task"),
        ):
            axes.scatter(before[which], after[which], s=14, color=colour, label=label, zorder=2)
        if online_alpha is not None:
            for line in (axes.axvline, axes.axhline):
                line(online_alpha, color=INK, linewidth=1, linestyle=(0, (4, 2)))
        for axis, scale, limits in (
            (axes.xaxis, axes.set_xscale, axes.set_xlim),
            (axes.yaxis, axes.set_yscale, axes.set_ylim),
        ):
            scale("log")
            limits(low, high)
            axis.set_major_formatter(FuncFormatter(lambda value, _: percent(value)))
            axis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("CVR in the last pushed version")
        axes.set_ylabel("CVR now")
        canvas.figure.legend(loc="outside lower center", ncols=2)
    return canvas.svg


def _label(feature: str) -> str:
    return feature if len(feature) <= LONGEST_LABEL else f"{feature[: LONGEST_LABEL - 1]}…"


def _reach(distance: Mapping[str, Any]) -> float:
    return float(distance["value"]) / float(distance["threshold"])
