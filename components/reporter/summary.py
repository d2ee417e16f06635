"""The table that sums a run up: a row a task and model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from common.pages import text

TASK_SLICES: Mapping[str, str] = {"hard": "task=hard", "soft": "task=soft", "all": "all"}
MODELS: Mapping[str, str] = {
    "candidate": "candidate",
    "one_task": "one-task",
    "last_blessed": "last blessed",
}
"""Model of the evaluator -> name for people, in the order of the table."""

ONE_TASK = "one_task"

Values = dict[tuple[str, str], dict[str, float | None]]
"""(slice, model) -> metric -> value, with `examples` and `positives` among the metrics."""


@dataclass(frozen=True)
class Change:
    """A value minus a reference, and that over the reference's size (null when it is 0)."""

    absolute: float
    relative: float | None


@dataclass(frozen=True)
class SummaryRow:
    """One model on the examples of one task.

    Attributes:
      task: `hard`, `soft` or `all`.
      model: name for people.
      auc, rig, calibration: null where they are not defined.
      rig_change, auc_change: against the one-task model; null in its own row and where either
        value is missing.
    """

    task: str
    model: str
    examples: int
    positives: int
    auc: float | None
    rig: float | None
    calibration: float | None
    rig_change: Change | None
    auc_change: Change | None


def metric_values(records: Iterable[Mapping[str, Any]]) -> Values:
    """Records of `metrics.json` by slice and model, in the order of the file."""
    values: Values = {}
    for record in records:
        metrics = values.setdefault((record["slice"], record["model"]), {})
        metrics[record["metric"]] = record["value"]
        metrics["examples"], metrics["positives"] = record["examples"], record["positives"]
    return values


def change(value: float | None, reference: float | None) -> Change | None:
    """How far a value is from a reference; null when either is missing."""
    if value is None or reference is None:
        return None
    absolute = value - reference
    return Change(absolute, absolute / abs(reference) if reference else None)


def summary_rows(records: Iterable[Mapping[str, Any]]) -> list[SummaryRow]:
    """Rows by task (hard, soft, all) and model; a model that was not evaluated has none.

    Args:
      records: the evaluator's `metrics.json`.
    """
    values = metric_values(records)
    rows = []
    for task, name in TASK_SLICES.items():
        reference = values.get((name, ONE_TASK), {})
        for model, label in MODELS.items():
            if (mine := values.get((name, model))) is None:
                continue
            against = {} if model == ONE_TASK else reference
            rows.append(
                SummaryRow(
                    task=task,
                    model=label,
                    examples=int(mine["examples"] or 0),
                    positives=int(mine["positives"] or 0),
                    auc=mine.get("auc"),
                    rig=mine.get("rig"),
                    calibration=mine.get("calibration"),
                    rig_change=change(mine.get("rig"), against.get("rig")),
                    auc_change=change(mine.get("auc"), against.get("auc")),
                )
            )
    return rows


def change_in_words(change: Change | None) -> str:
    """`+0.0123 (+4.1%)`."""
    if change is None:
        return text.DASH
    relative = "" if change.relative is None else f" ({change.relative:+.2%})"
    return f"{change.absolute:+.4f}{relative}"
