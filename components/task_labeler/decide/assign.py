"""From counts to assignments: everything that is decided about a setup on a day."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from common.arrays import Bools, Floats, Ints
from components.task_labeler.calendar import Calendar
from components.task_labeler.decide.counts import group_counts
from components.task_labeler.decide.decay import DailyCounts
from components.task_labeler.decide.estimates import (
    SharedEstimates,
    build_curves,
    categories_of,
    estimate_shared,
    log_moments,
    observed_sums,
)
from components.task_labeler.decide.hysteresis import (
    Posterior,
    Reason,
    Sides,
    assign_sides,
    posterior,
)
from components.task_labeler.decide.miscalls import miscalls
from components.task_labeler.decide.pins import pinned_sides
from components.task_labeler.decide.prior import smooth
from components.task_labeler.decide.setups import SetupCounts
from components.task_labeler.settings import LabellingSettings

HISTORY_SCHEMA = pa.schema(
    [
        ("setup_id", pa.string()),
        ("day", pa.int32()),
        ("category", pa.string()),
        ("advertiser_type", pa.string()),
        ("hard", pa.bool_()),
        ("reason", pa.int8()),
        ("historical_cvr", pa.float64()),
        ("hard_probability", pa.float64()),
        ("observed_clicks", pa.int64()),
        ("online_hard", pa.bool_()),
        ("online_reason", pa.int8()),
        ("flipped", pa.bool_()),
        ("clicks", pa.int64()),
    ]
)
"""One row a setup and day with clicks, and one a setup for the as-of day. `hard_probability` is
P(CVR <= alpha) by the Beta posterior, whatever the side was decided by."""


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


def assign(
    counts: pa.Table, estimates: SharedEstimates, attribution_days: int, settings: LabellingSettings
) -> tuple[pa.Table, DayTotals]:
    """Assigns every setup of `counts` on every day of the calendar.

    Args:
      counts: merged counts (`counts.merge_counts`) of whole setups.

    Returns:
      A table of `HISTORY_SCHEMA`, sorted by setup and day, and the totals of the report.
    """
    calendar = estimates.calendar
    facts = SetupCounts.of(counts, calendar)
    category = categories_of(facts.keys, estimates.category)
    conversions, clicks, observed = observed_sums(
        facts.daily, category, estimates.curves, settings.delay, attribution_days, settings
    )
    group = np.array([estimates.groups[key] for key in facts.keys], np.int64)
    prior, strength = estimates.prior[group], estimates.strength.by_category[category]
    cvr = smooth(conversions, clicks, prior, strength)
    belief = posterior(conversions, clicks, prior, strength)
    decided_by = belief if settings.decide_by == "probability" else None
    first = facts.first_day - calendar.first
    pins = pinned_sides(settings.pins, facts.setups, calendar.first, calendar.days)
    sides, online = (
        assign_sides(cvr, observed, first, pins, settings, threshold, decided_by)
        for threshold in (settings.alpha, settings.online_alpha)
    )
    totals = _totals(facts.daily, sides, first, facts.conflicting)
    totals.counts |= miscalls(
        facts.daily, category, prior, strength, cvr, estimates, attribution_days, settings
    )
    history = _history(facts, cvr, belief, observed, sides, online, calendar, settings.alpha)
    return history, totals


def assign_log(
    counts: pa.Table, calendar: Calendar, attribution_days: int, settings: LabellingSettings
) -> tuple[pa.Table, DayTotals]:
    """`assign` for the merged counts of a whole log, in this process."""
    groups = group_counts(counts)
    moments = None
    if settings.prior_clicks == "estimate":
        curves = build_curves(groups, calendar, attribution_days, settings)
        moments = log_moments(counts, curves, attribution_days, settings)
    estimates = estimate_shared(groups, calendar, attribution_days, settings, moments)
    return assign(counts, estimates, attribution_days, settings)


def _totals(daily: DailyCounts, sides: Sides, first: Ints, conflicting: int) -> DayTotals:
    exists = np.arange(daily.clicks.shape[1]) >= first[:, None]
    soft = exists & ~sides.hard

    def clicks(where: Bools) -> Ints:
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


def _history(
    facts: SetupCounts,
    cvr: Floats,
    belief: Posterior,
    observed: Ints,
    sides: Sides,
    online: Sides,
    calendar: Calendar,
    alpha: float,
) -> pa.Table:
    kept = facts.daily.clicks > 0
    kept[:, -1] = True
    row, day = np.nonzero(kept)
    keys = pa.array([name for name, _ in facts.keys], pa.string())
    kinds = pa.array([kind for _, kind in facts.keys], pa.string())
    return pa.table(
        [
            pa.array(facts.setups, pa.string()).take(pa.array(row)),
            (day + calendar.first).astype("i4"),
            keys.take(pa.array(row)),
            kinds.take(pa.array(row)),
            sides.hard[row, day],
            sides.reason[row, day],
            cvr[row, day],
            belief.at_most((row, day), np.full(len(row), alpha)),
            observed[row, day],
            online.hard[row, day],
            online.reason[row, day],
            sides.flipped[row, day],
            facts.daily.clicks[row, day],
        ],
        schema=HISTORY_SCHEMA,
    )
