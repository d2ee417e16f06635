"""Figures of how well models predict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from common.pages.svg import (
    BLUE,
    GREY,
    GRID,
    MUTED,
    PAPER,
    VERMILION,
    drawing,
    percent,
)

CANDIDATE = "candidate"
MODEL_LOOKS: Mapping[str, tuple[str, str, str]] = {
    CANDIDATE: ("candidate", BLUE, "o"),
    "last_blessed": ("last blessed", VERMILION, "D"),
    "one_task": ("one-task", GREY, "s"),
}
"""Model -> name on the page, colour, marker: told apart without colour too."""

ROW_LINE = {"color": GRID, "linewidth": 0.6, "zorder": 0.5}

PANELS = (("rig", "RIG", -0.25), ("auc", "AUC", 0.4))
"""Metric, title, and the lowest value that has a place of its own."""


@dataclass(frozen=True)
class SlicePoints:
    """A slice and metric -> model -> value; a value is null where it is not defined."""

    name: str
    metrics: Mapping[str, Mapping[str, float | None]]


@dataclass(frozen=True)
class CalibrationPoint:
    """A bin of examples with similar predictions.

    Attributes:
      predicted: mean prediction.
      observed: mean label.
      low, high: interval of the observed rate.
    """

    predicted: float
    observed: float
    low: float
    high: float


def metrics_by_slice(slices: Sequence[SlicePoints]) -> str:
    """A row a slice, a dot a model; RIG left, AUC right.

    Values below the panel's floor are drawn on its edge as arrows, so that one slice of few
    conversions does not flatten all others.
    """
    names = [points.name for points in slices]
    description = f"RIG and AUC of each model on {len(names)} slices: {', '.join(names)}."
    with drawing("slices", "Metrics by slice", description, 1.1 + 0.3 * len(slices)) as canvas:
        panels = canvas.figure.subplots(1, 2, sharey=True)
        for axes, (metric, title, floor) in zip(panels, PANELS, strict=True):
            values = [points.metrics.get(metric, {}) for points in slices]
            axes.hlines(range(len(slices)), 0, 1, transform=axes.get_yaxis_transform(), **ROW_LINE)
            for lane, (model, look) in enumerate(MODEL_LOOKS.items()):
                # Lanes within the row keep equal values apart.
                rows = [
                    (models.get(model), row + 0.2 * (lane - 1)) for row, models in enumerate(values)
                ]
                _dots(axes, [(x, y) for x, y in rows if x is not None], floor, look)
            axes.set_title(title)
            axes.grid(False, axis="y")
        panels[0].set_yticks(range(len(names)), names)
        panels[0].set_ylim(len(slices) - 0.5, -0.5)
        handles, labels = panels[0].get_legend_handles_labels()
        if handles:
            canvas.figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return canvas.svg


def _dots(
    axes: Axes, points: Sequence[tuple[float, float]], floor: float, look: tuple[str, str, str]
) -> None:
    name, colour, marker = look
    within = [(x, y) for x, y in points if x >= floor]
    below = [(floor, y) for x, y in points if x < floor]
    for drawn, shape, label in ((within, marker, name), (below, "<", None)):
        if drawn:
            x, y = zip(*drawn, strict=True)
            axes.scatter(
                x,
                y,
                s=30,
                marker=shape,
                color=colour,
                edgecolor=PAPER,
                linewidth=0.7,
                zorder=3,
                label=label,
            )


def calibration_curve(curves: Mapping[str, Sequence[CalibrationPoint]]) -> str:
    """Observed against predicted conversion rate of each model on log axes, with intervals.

    Bins without a conversion have no place on a log axis and are left out.
    """
    drawn = {
        model: [p for p in curves[model] if p.predicted > 0 and p.observed > 0]
        for model in MODEL_LOOKS
        if model in curves
    }
    points = [v for curve in drawn.values() for p in curve for v in (p.predicted, p.observed)]
    low, high = (min(points) / 1.5, max(points) * 1.5) if points else (0.001, 1.0)
    description = "Mean label against mean prediction by bin: " + "; ".join(
        f"{MODEL_LOOKS[model][0]} {len(curve)} bins" for model, curve in drawn.items()
    )
    with drawing("calibration", "Calibration on hard examples", description, 3.7) as canvas:
        axes = canvas.figure.subplots()
        axes.plot([low, high], [low, high], color=MUTED, linewidth=1, linestyle=(0, (4, 2)))
        for model, curve in drawn.items():
            name, colour, marker = MODEL_LOOKS[model]
            predicted = [p.predicted for p in curve]
            lowest = [max(p.low, low) for p in curve]
            axes.vlines(predicted, lowest, [p.high for p in curve], color=colour, linewidth=0.8)
            axes.plot(
                predicted,
                [p.observed for p in curve],
                marker=marker,
                markersize=5,
                markeredgecolor=PAPER,
                zorder=4 if model == CANDIDATE else 3,
                color=colour,
                label=name,
            )
        axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high), aspect="equal")
        axes.set_xlabel("mean prediction of the bin")
        axes.set_ylabel("observed conversion rate")
        axes.set_title("Calibration on hard examples")
        for axis in (axes.xaxis, axes.yaxis):
            if math.log10(high / low) < 2.5:
                axis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
            axis.set_major_formatter(FuncFormatter(lambda value, _: percent(value)))
            axis.set_minor_formatter(NullFormatter())
        axes.legend(loc="upper left")
    return canvas.svg
