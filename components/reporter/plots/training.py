"""Figures of the training runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from common.pages.svg import drawing
from components.reporter.plots.quality import CANDIDATE, MODEL_LOOKS

Look = Mapping[str, float | None]
"""A row of `history.json`: `epoch`, `train_loss_<task>`, `calibration_log_loss_<task>`, ..."""

SERIES = (
    ("train_loss_{task}", "training", (0, (2, 1.5))),
    ("calibration_log_loss_{task}", "calibration split", "-"),
)


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
