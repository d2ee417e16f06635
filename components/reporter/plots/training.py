"""Figures of the training runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from common.pages.svg import drawing
from components.reporter.plots.quality import CANDIDATE, MODEL_LOOKS

Look = Mapping[str, float | None]
"""A row of `history.json`: `epoch`, `train_loss_<task>`, `calibration_log_loss_<task>`, ..."""

TRAINING = "train_loss_{task}"
SERIES = (
    (TRAINING, "training", (0, (2, 1.5))),
    ("calibration_log_loss_{task}", "calibration split", "-"),
)


FEW = 0.25
"""Share of the longest stretch between looks, below which a mean over it is of too few steps."""


def of_many_steps(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Epochs and means over the steps since the look before, without those of a few steps: after
    the last regular look a training goes on for what is left of it.

    >>> of_many_steps([(0.5, 0.31), (1.0, 0.30), (1.01, 0.72)])
    [(0.5, 0.31), (1.0, 0.3)]
    """
    ends = [0.0, *(end for end, _ in points)]
    stretches = [end - start for start, end in pairwise(ends)]
    return [p for p, s in zip(points, stretches, strict=True) if s >= FEW * max(stretches)]


def loss_curves(histories: Mapping[str, Sequence[Look]]) -> str:
    """Log loss by epoch of each model, a figure a task; dashes are training examples.

    Args:
      histories: model -> its looks, oldest first.
    """
    description = "Log loss while training: " + "; ".join(
        f"{MODEL_LOOKS[model][0]}, {len(looks)} looks" for model, looks in histories.items()
    )
    drawn = []
    for task in ("hard", "soft"):
        title = f"Log loss on {task} examples"
        with drawing(f"loss-{task}", title, "nats by epoch", description, 3.2) as canvas:
            axes = canvas.figure.subplots()
            for model, looks in histories.items():
                name, colour, marker = MODEL_LOOKS[model]
                for key, split, line in SERIES:
                    points = [
                        (look.get("epoch"), look.get(key.format(task=task))) for look in looks
                    ]
                    known = [(x, y) for x, y in points if x is not None and y is not None]
                    if key == TRAINING:
                        known = of_many_steps(known)
                    if known:
                        axes.plot(
                            *zip(*known, strict=True),
                            color=colour,
                            linestyle=line,
                            marker=marker if len(known) < 30 else None,
                            markersize=3.5,
                            zorder=4 if model == CANDIDATE else 3,
                            label=f"{name}, {split}",
                        )
            axes.set_xlabel("epoch")
            if axes.has_data():
                canvas.figure.legend(loc="outside lower center", ncols=2)
        drawn.append(canvas.svg)
    return "".join(drawn)
