"""Figures of the A/B report, as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter, NullFormatter

from common.pages.intervals import IntervalLine, intervals
from common.pages.svg import BLUE, MUTED, drawing
from labs.ab_report.table import Row

PANELS: tuple[tuple[str, str, str, Literal["above", "below"]], ...] = (
    ("cpa", "CPA ratio", "variant over control, lower is better", "below"),
    ("conversion", "Conversion ratio", "variant over control, higher is better", "above"),
)


def forest(rows: Sequence[Row]) -> list[str]:
    """Each row of the table as a dot with its interval: CPA, then conversions."""

    def line(row: Row, name: str) -> IntervalLine:
        interval = getattr(row, name)
        return IntervalLine(row.name, interval.ratio, interval.low, interval.high).less(1.0)

    return [
        intervals(
            *(title, unit, [line(row, name) for row in rows]),
            show=lambda value: f"{value:+.1%}",
            tick=lambda value: f"{value * 100:.3g}%",
            good=good,
        )
        for name, title, unit, good in PANELS
    ]


def by_spend(units: pd.DataFrame) -> str:
    """Each unit's CPA ratio by its spend, on log axes."""
    description = f"CPA ratio of {len(units)} units by spend."
    title, unit = "CPA ratio by spend", "variant over control, a dot a unit"
    with drawing("units", title, unit, description, 3.0) as canvas:
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
    return canvas.svg
