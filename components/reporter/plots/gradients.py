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
    """Cosine of the hard and the soft gradient, and the ratio of their norms, by step: two figures.

    Args:
      layers: at least one, each with a cosine.
    """
    description = "Mean cosine of the hard and the soft gradient by layer: " + ", ".join(
        f"{layer.layer} {layer.mean_cosine:.2f}" for layer in layers
    )
    height = 3.0 + 0.2 * (len(layers) // 3)
    drawn = []
    for name, title, unit in (
        ("gradients-cosine", "Direction of the two tasks' gradients", "cosine by step"),
        ("gradients-ratio", "Size of the two tasks' gradients", "norm, hard over soft, by step"),
    ):
        cosine = name == "gradients-cosine"
        with drawing(name, title, unit, description, height) as canvas:
            axes = canvas.figure.subplots()
            axes.axhline(0 if cosine else 1, **REFERENCE)
            for number, layer in enumerate(layers):
                style: dict[str, Any] = dict(STYLES[number % len(STYLES)])
                if layer.layer == ALL:
                    style = {"color": INK, "linestyle": "-", "linewidth": 2.4}
                points = layer.cosines if cosine else layer.ratios
                marker = "o" if len(points) < 30 else None
                axes.plot(
                    [step for step, _ in points],
                    [value for _, value in points],
                    marker=marker,
                    markersize=3,
                    label=layer.layer,
                    **style,
                )
            if cosine:
                axes.set_ylim(-1.05, 1.05)
            else:
                axes.set_yscale("log")
                axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
                axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
                axes.yaxis.set_minor_formatter(NullFormatter())
            axes.set_xlabel("step")
            canvas.figure.legend(loc="outside lower center", ncols=3)
        drawn.append(canvas.svg)
    return "".join(drawn)
