"""Completeness curves: which share of its conversions a click has shown by an age.

A conversion is seen when its delay is shorter than the age of its click, so that of young clicks
only the quick conversions are: delays are truncated on the right. Their distribution follows from
the reverse hazards h(u), the share of the conversions with a delay of at most u whose delay is u,
among clicks old enough to have shown it (Lagakos, Barraj and De Gruttola, "Nonparametric analysis
of truncated survival data", Biometrika 75, 1988):

    P(delay <= u | converts) = product over v > u of (1 - h(v))

so that every conversion speaks from the day it is seen, and young clicks do not bend the curve.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from common.arrays import Floats, Floats32, Ints
from common.days import SECONDS_PER_DAY
from components.task_labeler.calendar import Calendar
from components.task_labeler.decide.counts import delay_edges
from components.task_labeler.decide.decay import DailyCounts
from schemas import labelled

SHRINKAGE = 20.0
"""Conversions that the hazards of all categories count for in each category's own."""

SLOWNESS = 0.25
"""Before anything was seen, P(delay <= a) = (a / attribution window)^SLOWNESS: of a window of 30
days, a third within half a day and half within two."""

DOUBT = 1.0
"""Conversions that this guess counts for in every hazard of all categories. It decides alone about
delays longer than the log: what may still come of the oldest clicks."""

LEAST = 1e-3
"""Least completeness of a click: none is ever quite unseen."""


def completeness(
    counts: DailyCounts, category_of_row: Ints, categories: int, attribution_days: int, window: int
) -> Floats:
    """Expected share of a click's conversions seen by age k, as known at the start of day d.

    Args:
      counts: R groups of setups.
      category_of_row: int64 [R], the category of each row, in [0, categories).

    Returns:
      float64 [categories, D, window + 1]; entry k is P(delay < k days | converts).
    """
    days = counts.clicks.shape[1]
    delays = attribution_days + 1
    converted = np.zeros((categories, days, delays))
    inside = counts.delay < delays
    where = (category_of_row[counts.row[inside]], counts.day[inside], counts.delay[inside])
    np.add.at(converted, where, counts.conversions[inside])
    guess = _guess(np.arange(1, delays + 1) / delays)
    curve, _ = cumulative(converted, np.arange(delays), np.arange(days), guess)

    by_age = np.ones((categories, days, window + 1))
    by_age[:, :, 0] = 0.0
    ages = np.arange(1, min(window, delays) + 1)
    by_age[:, :, ages] = curve[:, :, ages - 1]
    return by_age


def cumulative(
    converted: Floats, reach: Ints, moments: Ints, guess: Floats
) -> tuple[Floats, Floats]:
    """P(delay in one of the bins up to b | converts), as known at the start of some days.

    Args:
      converted: float64 [categories, D, B], conversions by click day and bin of their delay.
      reach: int64 [B], days after which the clicks of a day have shown all conversions of a bin:
        those of day c are known at the start of day d when c + reach < d.
      moments: int64 [T], days, from 0.
      guess: float64 [B], hazards before anything was seen.

    Returns:
      float64 [categories, T, B] and, for a category without a conversion, [T, B].
    """
    categories, days, bins = converted.shape
    before = np.zeros((categories, days + 1, bins))
    np.cumsum(converted, axis=1, out=before[:, 1:])
    end = np.clip(moments[:, None] - reach[None, :], 0, days)
    bin_ = np.arange(bins)
    shown = before[:, end, bin_]
    at_most = np.cumsum(before, axis=-1)[:, end, bin_]
    all_shown, all_at_most = shown.sum(axis=0), at_most.sum(axis=0)
    overall = (all_shown + DOUBT * guess) / (all_at_most + DOUBT)
    hazard = (shown + SHRINKAGE * overall) / (at_most + SHRINKAGE)
    return _later_absent(hazard), _later_absent(overall)


def _guess(ends: Floats) -> Floats:
    """Hazards of the bins that end at these shares of the window, [B], by `SLOWNESS`."""
    cumulated = ends**SLOWNESS
    return 1 - np.concatenate([[0.0], cumulated[:-1]]) / cumulated


def _later_absent(hazard: Floats) -> Floats:
    """Product over the later bins of 1 - h; 1 in the last bin."""
    survivors = np.ones_like(hazard)
    survivors[..., :-1] = np.cumprod((1 - hazard)[..., :0:-1], axis=-1)[..., ::-1]
    return survivors


@dataclass(frozen=True)
class AgeCurve:
    """Completeness by a click's age in seconds, as known at one moment.

    Attributes:
      ages: int64 [B + 1], increasing from 0 to the attribution window.
      category: row of each category.
      shown: float64 [categories + 1, B + 1], P(delay < age | converts) at the ages, linear between
        them; the last row stands for categories without a conversion.
    """

    ages: Ints
    category: Mapping[str, int]
    shown: Floats

    def at(self, category: pa.Array, age: Ints) -> Floats32:
        """Completeness of clicks, float32 [n] in (0, 1].

        Args:
          category: strings [n].
          age: int64 [n], seconds from the click to the moment.
        """
        shares = np.ones(len(age), np.float32)
        young = np.flatnonzero(age < self.ages[-1])
        names = pa.array(list(self.category), pa.string())
        place = pc.index_in(category.take(pa.array(young)), value_set=names)
        row = pc.fill_null(place, len(self.category)).to_numpy()
        for of_row in np.unique(row).tolist():
            here = young[row == of_row]
            shares[here] = np.interp(age[here], self.ages, self.shown[of_row])
        return np.maximum(shares, np.float32(LEAST))


def age_curve(delays: pa.Table, calendar: Calendar, attribution_days: int, day: int) -> AgeCurve:
    """The curve as known at the start of a day.

    Args:
      delays: `counts.count_delays`, merged.
      day: since 1970-01-01.
    """
    edges = delay_edges(attribution_days)
    names = sorted(pc.unique(delays["category"]).to_pylist())
    converted = np.zeros((len(names), calendar.days, len(edges)))
    place = pc.index_in(delays["category"], value_set=pa.array(names, pa.string())).to_numpy()
    where = (
        place.astype(np.int64),
        delays["day"].to_numpy() - calendar.first,
        np.searchsorted(edges, delays["below"].to_numpy()),
    )
    np.add.at(converted, where, delays["conversions"].to_numpy())
    reach = -(-edges // SECONDS_PER_DAY)
    moment = np.array([day - calendar.first])
    known, other = cumulative(converted, reach, moment, _guess(edges / edges[-1]))
    shown = np.concatenate([known[:, 0], other])
    return AgeCurve(
        np.concatenate([[0], edges]),
        {name: row for row, name in enumerate(names)},
        np.concatenate([np.zeros((len(shown), 1)), shown], axis=1),
    )


def curves_table(judged: AgeCurve, latest: AgeCurve) -> pa.Table:
    """Both moments' curves, of the same ages and categories, one row a category and age.

    Columns: category (null for those without a conversion), age_seconds, judged_completeness (as
    known when the eval period began), completeness (as known on the as-of day).
    """
    names = [*judged.category, None]
    ages = len(judged.ages)
    return pa.table(
        {
            "category": pa.array(np.repeat(np.array(names, object), ages).tolist(), pa.string()),
            "age_seconds": np.tile(judged.ages, len(names)),
            labelled.JUDGED_COMPLETENESS: judged.shown.ravel(),
            labelled.COMPLETENESS: latest.shown.ravel(),
        }
    )


def curves_of(table: pa.Table) -> tuple[AgeCurve, AgeCurve]:
    """The inverse of `curves_table`."""
    others = pc.sum(pc.is_null(table["category"])).as_py()
    names = table["category"].to_pylist()[::others][:-1]
    ages = table["age_seconds"].to_numpy()[:others]
    rows = {name: row for row, name in enumerate(names)}
    judged, latest = (
        AgeCurve(ages, rows, table[name].to_numpy().reshape(-1, others))
        for name in (labelled.JUDGED_COMPLETENESS, labelled.COMPLETENESS)
    )
    return judged, latest
