"""Differences with their intervals, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from statistics import median

from matplotlib.axes import Axes

from common.pages.svg import BLUE, GREY, MUTED, VERMILION, drawing
from labs.experiment.judging.results import (
    AUC,
    EXPECTED_AUC,
    EXPECTED_RIG,
    RIG,
    Finding,
    SetResults,
)
from labs.experiment.show.tables import METRICS

FAR = 6.0
"""Times the median reach of a panel's intervals from which on a claim is drawn on the edge."""


COLUMNS = 2
"""Panels side by side."""


def differences(found: SetResults) -> str:
    """A row a claim, a panel a metric; the whole interval right of 0 is a supported claim.

    A claim so far off that it would flatten the others is an arrow on the panel's edge.
    """
    shown = (EXPECTED_RIG, RIG, EXPECTED_AUC, AUC)
    drawn = [m for m in shown if any(f.metric == m for f in found.findings)]
    first = [f for f in found.findings if f.metric == drawn[0]]
    names = [f"{f.claim.arm}\nagainst {f.claim.against}" for f in first]
    description = "; ".join(
        f"{METRICS[f.metric][0]} of {f.claim.arm} minus {f.claim.against}: "
        f"{f.difference.estimate:+.4g} [{f.difference.low:+.4g}, {f.difference.high:+.4g}]"
        for f in found.findings
        if f.metric in drawn
    )
    rows = -(-len(drawn) // COLUMNS)
    height = rows * (0.9 + 0.42 * len(first))
    with drawing(f"differences-{found.name}", "Differences", description, height) as canvas:
        panels = canvas.figure.subplots(rows, len(drawn) // rows, sharey=True, squeeze=False)
        panels = panels.ravel()
        for axes, metric in zip(panels, drawn, strict=True):
            axes.axvline(0, color=MUTED, linewidth=1, linestyle=(0, (4, 2)))
            _intervals(axes, [f for f in found.findings if f.metric == metric])
            axes.set_title(METRICS[metric][0])
            axes.grid(False, axis="y")
            axes.locator_params(axis="x", nbins=4)
        panels[0].set_yticks(range(len(names)), names)
        panels[0].set_ylim(len(names) - 0.5, -0.5)
    return canvas.svg


def _intervals(axes: Axes, findings: Sequence[Finding]) -> None:
    reaches = [_reach(f) for f in findings if isfinite(_reach(f))]
    limit = FAR * median(reaches) if reaches else 0.0
    near = max((r for r in reaches if r <= limit), default=1.0) * 1.1
    for row, found in enumerate(findings):
        d = found.difference
        colour = BLUE if found.supported else VERMILION if found.reversed else GREY
        if not isfinite(d.estimate):
            continue
        if isfinite(_reach(found)) and _reach(found) > limit:
            edge, marker = (-near, "<") if d.estimate < 0 else (near, ">")
            axes.plot([edge], [row], marker=marker, markersize=7, color=colour, clip_on=False)
            continue
        axes.plot([d.low, d.high], [row, row], color=colour, linewidth=2)
        axes.plot([d.estimate], [row], marker="o", markersize=6, color=colour)


def _reach(found: Finding) -> float:
    return max(abs(found.difference.low), abs(found.difference.high))
