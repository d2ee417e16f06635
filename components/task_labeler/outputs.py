"""The files of a TaskAssignments artifact."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from common.days import to_date
from components.task_labeler.calendar import Period
from components.task_labeler.decide.assign import DayTotals
from components.task_labeler.decide.estimates import SharedEstimates
from components.task_labeler.decide.hysteresis import Reason, posterior
from components.task_labeler.settings import LabellingSettings
from schemas.contract import Contract
from schemas.labelled import FALLBACK, HARD, SOFT

ROUTING_SCHEMA = pa.schema(
    [
        ("setup_id", pa.string()),
        ("task", pa.string()),
        ("reason", pa.string()),
        ("historical_cvr", pa.float64()),
        ("observed_clicks", pa.int64()),
        ("category", pa.string()),
        ("advertiser_type", pa.string()),
    ]
)


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
            "task": tasks_of(hard[start]),
            "reason": reason_names(reason[start]),
            "historical_cvr": history["historical_cvr"].take(pa.array(end)),
        }
    )


def routing_table(
    history: pa.Table, as_of_day: int, settings: LabellingSettings, estimates: SharedEstimates
) -> pa.Table:
    """Where candidates go from the as-of day on, by the online threshold (paper, section 3.2.2).

    Columns: setup_id, task (`hard`, `soft` or `fallback`), reason, historical_cvr, observed_clicks,
    category, advertiser_type. A pinned setup without a click is there too, by the prior of all.
    """
    today = history.filter(pc.equal(history["day"], as_of_day))
    task = routed_to(today, settings)
    reason = today["online_reason"].to_numpy()
    known = set(today["setup_id"].to_pylist())
    pins = [p for p in settings.pins if p.holds(as_of_day) and p.setup not in known]
    n = len(pins)
    return pa.table(
        {
            "setup_id": [*today["setup_id"].to_pylist(), *(p.setup for p in pins)],
            "task": [*task.tolist(), *(p.side for p in pins)],
            "reason": [*reason_names(reason), *(["pinned"] * n)],
            "historical_cvr": [
                *today["historical_cvr"].to_pylist(),
                *([float(estimates.prior[-1, -1])] * n),
            ],
            "observed_clicks": [*today["observed_clicks"].to_pylist(), *([0] * n)],
            "category": [*today["category"].to_pylist(), *([""] * n)],
            "advertiser_type": [*today["advertiser_type"].to_pylist(), *([""] * n)],
        },
        schema=ROUTING_SCHEMA,
    )


def routed_to(history: pa.Table, settings: LabellingSettings) -> npt.NDArray[np.str_]:
    """Where the routing table of each row's day sends its setup: `hard`, `soft`, `fallback`.

    Args:
      history: n rows of `assign.HISTORY_SCHEMA`.

    Returns:
      str [n].
    """
    task = tasks_of(history["online_hard"].to_numpy())
    if settings.cold_start != FALLBACK:
        return task
    return np.where(history["online_reason"].to_numpy() == Reason.COLD_START, FALLBACK, task)


def unknown_setups(estimates: SharedEstimates, settings: LabellingSettings) -> list[dict[str, Any]]:
    """Rules for setups that the table does not hold, most specific first.

    A rule with null keys matches everything. Under the `prior` policy each category x advertiser
    type, each category and the rest go by their prior CVR of the as-of day.
    """
    if settings.cold_start != "prior":
        return [{"category": None, "advertiser_type": None, "task": settings.cold_start}]
    strength = estimates.strength
    levels: list[tuple[str | None, str | None, float, float]] = [
        (name, kind, cvr, strength.by_category[estimates.category[name], -1])
        for (name, kind), cvr in zip(estimates.groups, estimates.prior[:-1, -1], strict=True)
    ]
    levels += [
        (name, None, cvr, strength.by_category[row, -1])
        for (name, row), cvr in zip(
            estimates.category.items(), estimates.category_prior[:, -1], strict=True
        )
    ]
    levels.append((None, None, estimates.prior[-1, -1], strength.overall[-1]))
    return [
        {
            "category": category,
            "advertiser_type": kind,
            "task": HARD if _low_prior(cvr, clicks, settings) else SOFT,
            "prior_cvr": float(cvr),
            "prior_clicks": float(clicks),
        }
        for category, kind, cvr, clicks in levels
    ]


def _low_prior(cvr: float, strength: float, settings: LabellingSettings) -> bool:
    """Whether a setup of which only the prior is known is hard online."""
    if settings.decide_by == "mean":
        return cvr <= settings.online_alpha
    zero = np.zeros((1, 1))
    belief = posterior(zero, zero, np.full((1, 1), cvr), strength)
    probability = belief.at_most((slice(None), 0), np.array([settings.online_alpha]))
    return bool(probability[0] >= settings.min_probability)


def stability(
    totals: DayTotals, estimates: SharedEstimates, doubtful: DoubtfulHard
) -> dict[str, Any]:
    """Flips, churned clicks and counts by day and over the whole log."""
    today = {
        name: float(estimates.strength.by_category[row, -1])
        for name, row in estimates.category.items()
    }
    days = [
        {"day": to_date(estimates.calendar.first + i).isoformat()}
        | {name: int(values[i]) for name, values in totals.by_day.items()}
        for i in range(estimates.calendar.days)
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
        "prior_clicks": today,
        "doubtful_hard": asdict(doubtful),
        "days": days,
    }


def clicks_in(history: pa.Table, period: Period) -> int:
    """Clicks on the days of a period."""
    day, clicks = history["day"].to_numpy(), history["clicks"].to_numpy()
    return int(clicks[(day >= period.first) & (day < period.end)].sum())


FAR = 2.0
"""Times alpha from where on a CVR is far above it."""


@dataclass(frozen=True)
class DoubtfulHard:
    """Hard examples that are trained on though their setups turned out to be plainly soft.

    Attributes:
      examples, setups: theirs.
      hard_examples: all hard examples from the train period on.
    """

    examples: int
    setups: int
    hard_examples: int

    @property
    def share(self) -> float:
        return self.examples / max(1, self.hard_examples)


def doubtful_hard(history: pa.Table, trained: Period, settings: LabellingSettings) -> DoubtfulHard:
    """Looks back from the last day on which each setup's CVR rested on `min_clicks` observed
    clicks: beyond `FAR` x alpha, its hard examples were called too early.

    Args:
      trained: days whose clicks are trained on.
    """
    day, clicks = history["day"].to_numpy(), history["clicks"].to_numpy()
    setup = pc.index_in(history["setup_id"], value_set=pc.unique(history["setup_id"])).to_numpy()
    rested = np.flatnonzero(history["observed_clicks"].to_numpy() >= max(1, settings.min_clicks))
    # Rows are sorted by setup and day: the last assignment to a place wins.
    later = np.zeros(len(np.unique(setup)))
    later[setup[rested]] = history["historical_cvr"].to_numpy()[rested]
    hard = history["hard"].to_numpy() & (day >= trained.first) & (day < trained.end)
    doubtful = hard & (later[setup] > FAR * settings.alpha)
    return DoubtfulHard(
        examples=int(clicks[doubtful].sum()),
        setups=len(np.unique(setup[doubtful & (clicks > 0)])),
        hard_examples=int(clicks[hard].sum()),
    )


COUNTS = ("examples", "positives", "judged_positives")


def split_report(
    totals: Mapping[tuple[str, str], int], periods: Mapping[str, Period], history: pa.Table
) -> dict[str, Any]:
    """Per split: first and last day, the last one with a click, examples, positives (as observed
    by the as-of day, and when the eval period began), and the same of the hard task."""
    clicked = history["day"].to_numpy()[history["clicks"].to_numpy() > 0]
    report: dict[str, Any] = {}
    for split, period in periods.items():
        inside = clicked[(clicked >= period.first) & (clicked < period.end)]
        report[split] = {
            "first_day": to_date(period.first).isoformat(),
            "last_day": to_date(period.end - 1).isoformat(),
            "newest_click_day": to_date(inside.max()).isoformat() if len(inside) else None,
            **{
                f"{whose}{what}": totals.get((split, f"{whose}{what}"), 0)
                for whose in ("", "hard_")
                for what in COUNTS
            },
        }
    report["none"] = {"examples": totals.get(("none", "examples"), 0)}
    return report


def assignment_id(history: pa.Table, settings: LabellingSettings, contract: Contract) -> str:
    """Sixteen hex digits that change with any assignment, setting or contract."""
    digest = hashlib.sha256()
    digest.update(settings.model_dump_json().encode())
    digest.update(contract.model_dump_json().encode())
    for column in history.columns:
        if pa.types.is_string(column.type):
            words = pc.unique(column)
            digest.update(json.dumps(words.to_pylist()).encode())
            column = pc.index_in(column, value_set=words)
        digest.update(np.ascontiguousarray(column.to_numpy()).tobytes())
    return digest.hexdigest()[:16]


def tasks_of(hard: npt.NDArray[np.bool_]) -> npt.NDArray[np.str_]:
    return np.where(hard, HARD, SOFT)


def reason_names(reason: npt.NDArray[np.int8]) -> list[str]:
    return [Reason(r).name.lower() for r in reason.tolist()]
