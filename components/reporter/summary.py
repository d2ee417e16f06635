"""The table that sums a run up: each model on the examples that it is judged by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

CANDIDATE, ONE_TASK, LAST_BLESSED = "candidate", "one_task", "last_blessed"
LOGISTIC, HISTORICAL_CVR, AS_SERVED = "logistic", "historical_cvr", "as_served"

MODELS: Mapping[str, str] = {
    CANDIDATE: "candidate",
    ONE_TASK: "one-task",
    LAST_BLESSED: "last blessed",
    LOGISTIC: "logistic regression",
    HISTORICAL_CVR: "historical CVR",
    AS_SERVED: "as served",
}
"""Model of the evaluator -> name for people, in the order of tables."""

PLACES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "hard": ("task=hard", (CANDIDATE, ONE_TASK, LAST_BLESSED, LOGISTIC, HISTORICAL_CVR)),
    "all": ("all", (AS_SERVED, ONE_TASK)),
}
"""Examples for people -> slice of the evaluator, and the models that are judged there. The hard
tower answers for hard examples alone: what it would say of others judges nothing."""

Values = dict[tuple[str, str], dict[str, float | None]]
"""(slice, model) -> metric -> value, with `examples` and `positives` among the metrics."""


@dataclass(frozen=True)
class Bounded:
    """A value and the interval of the bootstrap; null where there is none."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class SummaryRow:
    """One model on some examples.

    Attributes:
      on: `hard` or `all`.
      model: name of the evaluator.
      lead: RIG of the first model on these examples minus this one's; none in its own row and
        where the two were not compared.
    """

    on: str
    model: str
    examples: int
    positives: int
    auc: Bounded
    rig: Bounded
    log_loss: Bounded
    calibration: Bounded
    lead: Bounded | None


def metric_values(records: Iterable[Mapping[str, Any]]) -> Values:
    """Records of `metrics.json` by slice and model, in the order of the file."""
    values: Values = {}
    for record in records:
        metrics = values.setdefault((record["slice"], record["model"]), {})
        metrics[record["metric"]] = record["value"]
        metrics["examples"], metrics["positives"] = record["examples"], record["positives"]
    return values


def difference(
    comparisons: Iterable[Mapping[str, Any]], model: str, other: str, where: str, metric: str
) -> Bounded | None:
    """The comparison of two models on a slice by a metric; none where there is none."""
    wanted = (model, other, where, metric)
    for c in comparisons:
        if (c["model"], c["other"], c["slice"], c["metric"]) == wanted:
            return Bounded(c["estimate"], c["low"], c["high"])
    return None


def summary_rows(
    records: Iterable[Mapping[str, Any]], comparisons: Iterable[Mapping[str, Any]]
) -> list[SummaryRow]:
    """Rows by examples (hard, all) and model; a model that was not evaluated has none.

    Args:
      records: the evaluator's `metrics.json`.
      comparisons: its `comparisons.json`.
    """
    measured = {(r["slice"], r["model"], r["metric"]): r for r in records}
    compared = list(comparisons)
    rows = []
    for on, (where, models) in PLACES.items():
        for model in models:
            metrics = {
                metric: measured[where, model, metric]
                for metric in ("auc", "rig", "log_loss", "calibration")
                if (where, model, metric) in measured
            }
            if not metrics:
                continue
            some = next(iter(metrics.values()))
            rows.append(
                SummaryRow(
                    on=on,
                    model=model,
                    examples=int(some["examples"]),
                    positives=int(some["positives"]),
                    auc=_bounded(metrics.get("auc")),
                    rig=_bounded(metrics.get("rig")),
                    log_loss=_bounded(metrics.get("log_loss")),
                    calibration=_bounded(metrics.get("calibration")),
                    lead=difference(compared, models[0], model, where, "rig"),
                )
            )
    return rows


def _bounded(record: Mapping[str, Any] | None) -> Bounded:
    if record is None:
        return Bounded()
    return Bounded(record["value"], record.get("low"), record.get("high"))
