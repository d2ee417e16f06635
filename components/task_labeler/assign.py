"""From counts to assignments: everything that is decided about a setup on a day."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from components.task_labeler.calendar import Calendar
from components.task_labeler.completeness import completeness
from components.task_labeler.decay import DailyCounts, Floats, Ints, decayed, hindsight
from components.task_labeler.prior import group_priors, smooth
from components.task_labeler.settings import LabellingSettings
from components.task_labeler.stability import Reason, Sides, assign_sides

HISTORY_SCHEMA = pa.schema(
    [
        ("setup_id", pa.string()),
        ("day", pa.int32()),
        ("category", pa.string()),
        ("advertiser_type", pa.string()),
        ("hard", pa.bool_()),
        ("reason", pa.int8()),
        ("historical_cvr", pa.float64()),
        ("observed_clicks", pa.int64()),
        ("online_hard", pa.bool_()),
        ("online_reason", pa.int8()),
        ("flipped", pa.bool_()),
        ("clicks", pa.int64()),
    ]
)
"""One row a setup and day with clicks, and one a setup for the as-of day."""


@dataclass(frozen=True)
class Context:
    """What all setups share: priors and completeness by category x advertiser type and day.

    Attributes:
      groups: (category, advertiser type) of each row of `prior` but the last.
      prior: float64 [G + 1, D]; the last row stands for groups never seen.
      exposure: float64 [categories, D, window + 1], or None when every click counts in full.
      category: index of each category in `exposure`.
    """

    calendar: Calendar
    groups: dict[tuple[str, str], int]
    prior: Floats
    exposure: Floats | None
    category: dict[str, int]


@dataclass
class DayTotals:
    """Sums over setups, int64 [D] each, and counts over the whole log."""

    by_day: dict[str, Ints]
    counts: dict[str, int] = field(default_factory=dict)

    def __add__(self, other: DayTotals) -> DayTotals:
        return DayTotals(
            {k: v + other.by_day[k] for k, v in self.by_day.items()},
            {k: self.counts.get(k, 0) + other.counts.get(k, 0) for k in self.counts | other.counts},
        )


def build_context(
    groups: pa.Table, calendar: Calendar, attribution_days: int, settings: LabellingSettings
) -> Context:
    """Priors and curves from the counts of `counts.group_counts`."""
    names = (groups["category"].to_pylist(), groups["advertiser_type"].to_pylist())
    keys = list(zip(*names, strict=True))
    index = {key: i for i, key in enumerate(sorted(set(keys)))}
    category = {name: i for i, name in enumerate(sorted({name for name, _ in index}))}
    category_of_group = np.array([category[name] for name, _ in index], np.int64)
    row = np.array([index[key] for key in keys], np.int64)
    daily = _daily_counts(groups, row, len(index), calendar)
    exposure = None
    if settings.delay == "corrected":
        exposure = completeness(
            daily, category_of_group, len(category), attribution_days, settings.window_days
        )
    conversions, clicks, _ = decayed(
        daily,
        settings.window_days,
        settings.half_life_days,
        exposure if exposure is None else exposure[category_of_group],
        _youngest(settings, attribution_days),
    )
    prior = group_priors(
        conversions, clicks, category_of_group, settings.prior_clicks, base=settings.alpha
    )
    return Context(calendar, index, prior, exposure, category)


def assign(
    counts: pa.Table, context: Context, attribution_days: int, settings: LabellingSettings
) -> tuple[pa.Table, DayTotals]:
    """Assigns every setup of `counts` on every day of the calendar.

    Args:
      counts: merged counts (`counts.merge_counts`) of whole setups.

    Returns:
      A table of `HISTORY_SCHEMA`, sorted by setup and day, and the totals of the report.
    """
    calendar = context.calendar
    setups, row = _enumerate(counts["setup_id"])
    facts = _setup_facts(counts, row, len(setups))
    group = np.array([context.groups.get(key, len(context.groups)) for key in facts.keys], np.int64)
    daily = _daily_counts(counts, row, len(setups), calendar)
    exposure = None
    if context.exposure is not None:
        exposure = context.exposure[[context.category[name] for name, _ in facts.keys]]
    youngest = _youngest(settings, attribution_days)
    window, half_life, m = settings.window_days, settings.half_life_days, settings.prior_clicks
    conversions, clicks, observed = decayed(daily, window, half_life, exposure, youngest)
    prior = context.prior[group]
    cvr = smooth(conversions, clicks, prior, m)
    first = facts.first_day - calendar.first
    pins = np.array([_pin(settings, setup) for setup in setups], np.int8)
    sides = assign_sides(cvr, observed, first, pins, settings, settings.alpha)
    online = assign_sides(cvr, observed, first, pins, settings, settings.online_alpha)

    totals = _totals(daily, sides, first, facts.conflicting)
    totals.counts |= _miscalls(daily, prior, cvr, settings, attribution_days)
    return _history(setups, facts, daily, cvr, observed, sides, online, calendar), totals


def _youngest(settings: LabellingSettings, attribution_days: int) -> int:
    return attribution_days + 1 if settings.delay == "mature" else 1


def _pin(settings: LabellingSettings, setup: str) -> int:
    return {"hard": 1, "soft": 0}.get(settings.pins.get(setup, ""), -1)


def _enumerate(values: pa.ChunkedArray) -> tuple[list[str], Ints]:
    """Distinct values, sorted, and each row's place among them."""
    distinct = sorted(pc.unique(values).to_pylist())
    place = pc.index_in(values, value_set=pa.array(distinct, pa.string()))
    return distinct, place.to_numpy().astype(np.int64)


def _daily_counts(counts: pa.Table, row: Ints, rows: int, calendar: Calendar) -> DailyCounts:
    return DailyCounts.from_triples(
        rows,
        calendar.days,
        row,
        counts["day"].to_numpy().astype(np.int64) - calendar.first,
        counts["delay"].to_numpy().astype(np.int64),
        counts["clicks"].to_numpy(),
    )


@dataclass(frozen=True)
class _Facts:
    """Context of each setup: that of its first day, smallest name first where a day has several."""

    keys: list[tuple[str, str]]
    first_day: Ints
    conflicting: int


def _setup_facts(counts: pa.Table, row: Ints, setups: int) -> _Facts:
    category = counts["category"].to_pylist()
    kind = counts["advertiser_type"].to_pylist()
    day = counts["day"].to_numpy()
    keys: list[tuple[str, str]] = [("", "")] * setups
    first = np.full(setups, np.iinfo(np.int64).max)
    seen: list[set[tuple[str, str]]] = [set() for _ in range(setups)]
    for i, r in enumerate(row):
        key = (category[i], kind[i])
        seen[r].add(key)
        if (day[i], key) < (first[r], keys[r]):
            first[r], keys[r] = day[i], key
    return _Facts(keys, first, sum(len(found) > 1 for found in seen))


def _totals(daily: DailyCounts, sides: Sides, first: Ints, conflicting: int) -> DayTotals:
    exists = np.arange(daily.clicks.shape[1]) >= first[:, None]
    soft = exists & ~sides.hard

    def clicks(where: npt.NDArray[np.bool_]) -> Ints:
        return np.where(where, daily.clicks, 0).sum(axis=0)

    by_day = {
        "hard_setups": sides.hard.sum(axis=0),
        "soft_setups": soft.sum(axis=0),
        "hard_clicks": clicks(sides.hard),
        "soft_clicks": clicks(soft),
        "flips": sides.flipped.sum(axis=0),
        "churned_clicks": clicks(sides.flipped),
    }
    counts = {
        f"reason_{reason.name.lower()}": int(clicks(exists & (sides.reason == reason)).sum())
        for reason in Reason
    }
    counts["setups"] = len(first)
    counts["setups_with_several_contexts"] = conflicting
    return DayTotals(by_day, counts)


def _miscalls(
    daily: DailyCounts,
    prior: Floats,
    cvr: Floats,
    settings: LabellingSettings,
    attribution_days: int,
) -> dict[str, int]:
    """How often the naive rule and the chosen one err, against what was known in hindsight.

    Compared on every setup and day with clicks whose whole window is mature by the as-of day; the
    side is cvr <= alpha alone, without the stabiliser.
    """
    m, alpha = settings.prior_clicks, settings.alpha
    window, half_life = settings.window_days, settings.half_life_days
    naive_sums = decayed(daily, window, half_life)
    truth_sums = hindsight(daily, window, half_life)
    days = daily.clicks.shape[1]
    judged = (daily.clicks > 0) & (np.arange(days) <= days - 1 - attribution_days)
    judged &= naive_sums[2] > 0
    truth = smooth(*truth_sums, prior, m) <= alpha
    naive = smooth(*naive_sums[:2], prior, m) <= alpha
    return {
        "judged_setup_days": int(judged.sum()),
        "naive_miscalls": int((judged & (naive != truth)).sum()),
        "chosen_miscalls": int((judged & ((cvr <= alpha) != truth)).sum()),
    }


def _history(
    setups: list[str],
    facts: _Facts,
    daily: DailyCounts,
    cvr: Floats,
    observed: Ints,
    sides: Sides,
    online: Sides,
    calendar: Calendar,
) -> pa.Table:
    kept = daily.clicks > 0
    kept[:, -1] = True
    row, day = np.nonzero(kept)
    keys = pa.array([name for name, _ in facts.keys], pa.string())
    kinds = pa.array([kind for _, kind in facts.keys], pa.string())
    return pa.table(
        [
            pa.array(setups, pa.string()).take(pa.array(row)),
            (day + calendar.first).astype("i4"),
            keys.take(pa.array(row)),
            kinds.take(pa.array(row)),
            sides.hard[row, day],
            sides.reason[row, day],
            cvr[row, day],
            observed[row, day],
            online.hard[row, day],
            online.reason[row, day],
            sides.flipped[row, day],
            daily.clicks[row, day],
        ],
        schema=HISTORY_SCHEMA,
    )
