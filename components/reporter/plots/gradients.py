"""Figure of the tasks' gradients by layer."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from common.pages.svg import BLUE, GREY, INK, MUTED, ORANGE, VERMILION, drawing
from components.reporter.gradients import LayerGradients

ALL = "all"
LINES = ("-", (0, (4, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))
STYLES = tuple(
    {"color": colour, "linestyle": line}
    for line, colour in product(LINES, (ORANGE, BLUE, VERMILION, GREY))
)
REFERENCE: dict[str, Any] = {"color": MUTED, "linewidth": 1, "zorder": 1}


def gradient_conflict(layers: Sequence[LayerGradients]) -> str:
    """Cosine of the hard and the soft gradient, and the ratio of their norms, by step.

    Args:
      layers: at least one, each with a cosine.
    """
    description = "Mean cosine of the hard and the soft gradient by layer: " + ", ".join(
        f"{layer.layer} {layer.mean_cosine:.2f}" for layer in layers
    )
    height = 3.0 + 0.16 * (len(layers) // 4)
    with drawing("gradients", "Gradients of the two tasks", description, height) as canvas:
        left, right = canvas.figure.subplots(1, 2)
        left.axhline(0, **REFERENCE)
        right.axhline(1, **REFERENCE)
        for number, layer in enumerate(layers):
            style: dict[str, Any] = dict(STYLES[number % len(STYLES)])
            if layer.layer == ALL:
                style = {"color": INK, "linestyle": "-", "linewidth": 2.4}
            for axes, points in ((left, layer.cosines), (right, layer.ratios)):
                if points:
                    marker = "o" if len(points) < 30 else None
                    steps, values = zip(*points, strict=True)
                    axes.plot(
                        steps, values, marker=marker, markersize=3, label=layer.layer, **style
                    )
        left.set_ylim(-1.05, 1.05)
        left.set_title("Cosine, hard and soft gradient")
        right.set_yscale("log")
        right.yaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
        right.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        right.yaxis.set_minor_formatter(NullFormatter())
        right.set_title("Norm, hard over soft gradient")
        for axes in (left, right):
            axes.set_xlabel("step")
        handles, labels = left.get_legend_handles_labels()
        canvas.figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return canvas.svg
