"""Figures of the A/B report, as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter, NullFormatter

from common.pages.svg import BLUE, GREY, MUTED, PAPER, VERMILION, drawing
from labs.ab_report.table import Row

PANELS = (
    ("cpa", "CPA ratio (lower is better)"),
    ("conversion", "Conversion ratio (higher is better)"),
)


def forest(rows: Sequence[Row]) -> str:
    """Each row of the table as a dot with its interval; CPA left, conversions right.

    Blue is better, vermilion worse, grey has 1 in its interval or has none.
    """
    description = "; ".join(
        f"{row.name}: CPA ratio {_spoken(row.cpa.ratio)}, conversion ratio "
        f"{_spoken(row.conversion.ratio)}"
        for row in rows
    )
    with drawing("forest", "Ratios by row", description, 1.0 + 0.36 * len(rows)) as canvas:
        panels = canvas.figure.subplots(1, 2, sharey=True)
        for axes, (name, title) in zip(panels, PANELS, strict=True):
            axes.axvline(0, color=MUTED, linewidth=1, linestyle=(0, (4, 2)))
            for place, row in enumerate(rows):
                estimate = getattr(row, name)
                if estimate.ratio is None:
                    continue
                value, colour = estimate.ratio - 1, GREY
                if estimate.low is not None and estimate.high is not None:
                    if not estimate.low <= 1 <= estimate.high:
                        colour = BLUE if (value < 0) == (name == "cpa") else VERMILION
                    axes.hlines(
                        place, estimate.low - 1, estimate.high - 1, color=colour, linewidth=2
                    )
                axes.scatter([value], [place], s=42, color=colour, edgecolor=PAPER, zorder=3)
            axes.set_title(title)
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * 100:+.3g}%"))
            axes.grid(False, axis="y")
        panels[0].set_yticks(range(len(rows)), [row.name for row in rows])
        panels[0].set_ylim(len(rows) - 0.5, -0.5)
    return canvas.svg


def by_spend(units: pd.DataFrame) -> str:
    """Each unit's CPA ratio by its spend, on log axes."""
    description = f"CPA ratio of {len(units)} units by spend."
    with drawing("units", "CPA ratio by spend", description, 3.0) as canvas:
        axes = canvas.figure.subplots()
        ratio, spend = units.cpa_ratio.to_numpy(float), units.spend.to_numpy(float)
        axes.scatter(spend, ratio, s=16, color=BLUE, alpha=0.55, edgecolor="none")
        axes.axhline(1, color=MUTED, linewidth=1, linestyle=(0, (4, 2)))
        axes.set_xscale("log")
        axes.set_yscale("log", base=2)
        reach = max(float(np.abs(np.log2(ratio)).max(initial=0.0)) * 1.08, 0.25)
        axes.set_ylim(2**-reach, 2**reach)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("spend of both variants")
        axes.set_ylabel("CPA ratio")
        axes.set_title("CPA ratio by spend")
    return canvas.svg


def _spoken(ratio: float | None) -> str:
    return "not defined" if ratio is None else f"{ratio:.3f}"
