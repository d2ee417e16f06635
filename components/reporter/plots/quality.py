"""Figures of how well models predict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from common.pages.svg import (
    BLUE,
    GREY,
    MUTED,
    ORANGE,
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
    "logistic": ("logistic regression", ORANGE, "^"),
}
"""Model -> name on the page, colour, marker: told apart without colour too."""


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
    title, unit = (
        "Calibration on hard examples",
        "observed against predicted CVR, bins of equal size",
    )
    with drawing("calibration", title, unit, description, 4.3) as canvas:
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
        for axis in (axes.xaxis, axes.yaxis):
            if math.log10(high / low) < 2.5:
                axis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
            axis.set_major_formatter(FuncFormatter(lambda value, _: percent(value)))
            axis.set_minor_formatter(NullFormatter())
        axes.legend(loc="upper left")
    return canvas.svg
