"""The files of a TaskAssignments artifact."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from components.common.days import to_date
from components.task_labeler.assign import Context, DayTotals
from components.task_labeler.calendar import Period
from components.task_labeler.settings import LabellingSettings
from components.task_labeler.stability import Reason
from schemas.contract import Contract
from schemas.labelled import HARD, SOFT

FALLBACK = "fallback"
"""Task of the routing table that sends a candidate to the one-task model."""


def assignment_runs(history: pa.Table) -> pa.Table:
    """Runs of consecutive history rows of a setup that share task and reason.

    Columns: setup_id, first_day, last_day (date32), task, reason (strings), historical_cvr (at the
    last day, float64).
    """
    setup = pc.index_in(history["setup_id"], value_set=pc.unique(history["setup_id"])).to_numpy()
    hard, reason = history["hard"].to_numpy(), history["reason"].to_numpy()
    state = np.stack([setup, hard, reason])
    begins = np.ones(history.num_rows, bool)
    begins[1:] = (state[:, 1:] != state[:, :-1]).any(axis=0)
    start = np.flatnonzero(begins)
    end = np.append(start[1:], history.num_rows) - 1
    return pa.table(
        {
            "setup_id": history["setup_id"].take(pa.array(start)),
            "first_day": history["day"].take(pa.array(start)).cast(pa.date32()),
            "last_day": history["day"].take(pa.array(end)).cast(pa.date32()),
            "task": task_names(hard[start]),
            "reason": reason_names(reason[start]),
            "historical_cvr": history["historical_cvr"].take(pa.array(end)),
        }
    )


def routing_table(history: pa.Table, as_of_day: int, settings: LabellingSettings) -> pa.Table:
    """Where candidates go from the as-of day on, by the online threshold (paper, section 3.2.2).

    Columns: setup_id, task (`hard`, `soft` or `fallback`), reason, historical_cvr, observed_clicks,
    category, advertiser_type.
    """
    today = history.filter(pc.equal(history["day"], as_of_day))
    task = task_names(today["online_hard"].to_numpy())
    reason = today["online_reason"].to_numpy()
    if settings.cold_start == "fallback":
        task = np.where(reason == Reason.COLD_START, FALLBACK, task)
    return pa.table(
        {
            "setup_id": today["setup_id"],
            "task": task,
            "reason": reason_names(reason),
            "historical_cvr": today["historical_cvr"],
            "observed_clicks": today["observed_clicks"],
            "category": today["category"],
            "advertiser_type": today["advertiser_type"],
        }
    )


def unknown_setups(context: Context, settings: LabellingSettings) -> list[dict[str, Any]]:
    """Rules for setups that the table does not hold, most specific first.

    A rule with null keys matches everything. Under the `prior` policy each category x advertiser
    type goes by its prior CVR of the as-of day.
    """
    if settings.cold_start != "prior":
        return [{"category": None, "advertiser_type": None, "task": settings.cold_start}]
    today = context.prior[:, -1].tolist()
    keys: list[tuple[str | None, str | None]] = [*context.groups, (None, None)]
    return [
        {
            "category": category,
            "advertiser_type": kind,
            "task": HARD if cvr <= settings.online_alpha else SOFT,
            "prior_cvr": cvr,
        }
        for (category, kind), cvr in zip(keys, today, strict=True)
    ]


def stability(totals: DayTotals, context: Context) -> dict[str, Any]:
    """Flips, churned clicks and counts by day and over the whole log."""
    days = [
        {"day": to_date(context.calendar.first + i).isoformat()}
        | {name: int(values[i]) for name, values in totals.by_day.items()}
        for i in range(context.calendar.days)
    ]
    whole = {name: int(values.sum()) for name, values in totals.by_day.items()}
    reasons = {
        name.removeprefix("reason_"): count
        for name, count in totals.counts.items()
        if name.startswith("reason_")
    }
    others = {k: v for k, v in totals.counts.items() if not k.startswith("reason_")}
    return {
        "flips": whole["flips"],
        "churned_clicks": whole["churned_clicks"],
        "clicks": whole["hard_clicks"] + whole["soft_clicks"],
        "reasons": reasons,
        **others,
        "days": days,
    }


def split_report(
    totals: Mapping[tuple[str, str], int], periods: Mapping[str, Period]
) -> dict[str, Any]:
    """Per split: first and last day, examples, positives, and the same of the hard task."""
    report: dict[str, Any] = {}
    for split, period in periods.items():
        counts = {what: n for (name, what), n in totals.items() if name == split}
        report[split] = {
            "first_day": to_date(period.first).isoformat(),
            "last_day": to_date(period.end - 1).isoformat(),
            **counts,
        }
    report["none"] = {"examples": totals.get(("none", "examples"), 0)}
    return report


def assignment_id(history: pa.Table, settings: LabellingSettings, contract: Contract) -> str:
    """Sixteen hex digits that change with any assignment, setting or contract."""
    digest = hashlib.sha256()
    digest.update(settings.model_dump_json().encode())
    digest.update(contract.model_dump_json().encode())
    for column in history.columns:
        values = column.to_pylist()
        digest.update(json.dumps(values).encode())
    return digest.hexdigest()[:16]


def task_names(hard: npt.NDArray[np.bool_]) -> npt.NDArray[np.str_]:
    return np.where(hard, HARD, SOFT)


def reason_names(reason: npt.NDArray[np.int8]) -> list[str]:
    return [Reason(r).name.lower() for r in reason.tolist()]
