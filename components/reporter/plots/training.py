"""Figures of the training runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.artist import Artist

from common.pages.svg import drawing
from components.reporter.plots.quality import CANDIDATE, MODEL_LOOKS

Look = Mapping[str, float | None]
"""A row of `history.json`: `epoch`, `train_loss_<task>`, `calibration_log_loss_<task>`, ..."""

SERIES = (
    ("train_loss_{task}", "training", (0, (2, 1.5))),
    ("calibration_log_loss_{task}", "calibration split", "-"),
)


def loss_curves(histories: Mapping[str, Sequence[Look]]) -> str:
    """Log loss by epoch of each model, a panel a task; dashes are training examples.

    Args:
      histories: model -> its looks, oldest first.
    """
    description = "Log loss while training: " + "; ".join(
        f"{MODEL_LOOKS[model][0]}, {len(looks)} looks" for model, looks in histories.items()
    )
    with drawing("loss", "Log loss while training", description, 2.9) as canvas:
        panels = canvas.figure.subplots(1, 2)
        for axes, task in zip(panels, ("hard", "soft"), strict=True):
            for model, looks in histories.items():
                name, colour, marker = MODEL_LOOKS[model]
                for key, split, line in SERIES:
                    points = [
                        (look.get("epoch"), look.get(key.format(task=task))) for look in looks
                    ]
                    drawn = [(x, y) for x, y in points if x is not None and y is not None]
                    if drawn:
                        axes.plot(
                            *zip(*drawn, strict=True),
                            color=colour,
                            linestyle=line,
                            marker=marker if len(drawn) < 30 else None,
                            markersize=3.5,
                            zorder=4 if model == CANDIDATE else 3,
                            label=f"{name}, {split}",
                        )
            axes.set_title(f"Log loss on {task} examples")
            axes.set_xlabel("epoch")
        handles: dict[str, Artist] = {}
        for axes in panels:
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
                handles.setdefault(label, handle)
        if handles:
            canvas.figure.legend(
                list(handles.values()), list(handles), loc="outside lower center", ncols=2
            )
    return canvas.svg
