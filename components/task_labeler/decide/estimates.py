"""What all setups share on each day: completeness curves, the prior's strength and the priors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from common.arrays import Floats, Ints
from components.task_labeler.calendar import Calendar
from components.task_labeler.decide.completeness import completeness
from components.task_labeler.decide.decay import DailyCounts, decayed
from components.task_labeler.decide.prior import group_priors
from components.task_labeler.decide.setups import SetupCounts, daily_counts
from components.task_labeler.decide.strength import (
    UNTIL_ESTIMATED,
    PriorStrength,
    estimate_strength,
    fixed_strength,
    held_between,
    setup_moments,
)
from components.task_labeler.settings import LabellingSettings

Delay = Literal["naive", "mature", "corrected"]


@dataclass(frozen=True)
class Curves:
    """Groups of setups and how fast their conversions come in.

    Attributes:
      groups: row of each (category, advertiser type), in sorted order.
      category: row of each category, in sorted order.
      category_of_group: int64 [G].
      daily: counts of the groups.
      shown: float64 [categories, D, window + 1], see `completeness.completeness`.
    """

    calendar: Calendar
    groups: dict[tuple[str, str], int]
    category: dict[str, int]
    category_of_group: Ints
    daily: DailyCounts
    shown: Floats


@dataclass(frozen=True)
class SharedEstimates:
    """What all setups share: curves, strengths and priors by day.

    Attributes:
      groups: (category, advertiser type) of each row of `prior` but the last.
      prior: float64 [G + 1, D]; the last row stands for categories never seen.
      category: row of each category in `category_prior`, `strength` and the curves.
      category_prior: float64 [categories, D].
    """

    calendar: Calendar
    groups: dict[tuple[str, str], int]
    prior: Floats
    category: dict[str, int]
    category_prior: Floats
    strength: PriorStrength
    curves: Curves


def build_curves(
    groups: pa.Table, calendar: Calendar, attribution_days: int, settings: LabellingSettings
) -> Curves:
    """Curves from the counts of `counts.group_counts`."""
    names = (groups["category"].to_pylist(), groups["advertiser_type"].to_pylist())
    keys = list(zip(*names, strict=True))
    index = {key: i for i, key in enumerate(sorted(set(keys)))}
    category = {name: i for i, name in enumerate(sorted({name for name, _ in index}))}
    category_of_group = np.array([category[name] for name, _ in index], np.int64)
    row = np.array([index[key] for key in keys], np.int64)
    daily = daily_counts(groups, row, len(index), calendar)
    shown = completeness(
        daily, category_of_group, len(category), attribution_days, settings.window_days
    )
    return Curves(calendar, index, category, category_of_group, daily, shown)


def estimate_shared(
    groups: pa.Table,
    calendar: Calendar,
    attribution_days: int,
    settings: LabellingSettings,
    moments: Floats | None = None,
) -> SharedEstimates:
    """Priors and curves from the counts of `counts.group_counts`.

    Args:
      moments: sums of `log_moments` over all setups, for `prior_clicks: estimate`.

    Raises:
      ValueError: strengths are to be estimated and there are no moments.
    """
    curves = build_curves(groups, calendar, attribution_days, settings)
    strength = _strength(curves, settings, moments)
    conversions, clicks, _ = observed_sums(
        curves.daily, curves.category_of_group, curves, settings.delay, attribution_days, settings
    )
    priors = group_priors(conversions, clicks, curves.category_of_group, strength)
    return SharedEstimates(
        calendar,
        curves.groups,
        np.concatenate([priors.group, priors.overall[None, :]]),
        curves.category,
        priors.category,
        strength,
        curves,
    )


def observed_sums(
    daily: DailyCounts,
    category_of_row: Ints,
    curves: Curves,
    delay: Delay,
    attribution_days: int,
    settings: LabellingSettings,
    half_life: float | None = None,
) -> tuple[Floats, Floats, Ints]:
    """`decayed` under one treatment of young clicks.

    Args:
      daily: counts of setups or groups.
      category_of_row: int64 [R], rows of the curves.
      half_life: that of the settings when None.
    """
    return decayed(
        daily,
        settings.window_days,
        settings.half_life_days if half_life is None else half_life,
        curves.shown if delay == "corrected" else None,
        attribution_days + 1 if delay == "mature" else 1,
        category_of_row,
    )


def categories_of(keys: Sequence[tuple[str, str]], category: dict[str, int]) -> Ints:
    """Row of each key's category, int64 [n]."""
    return np.array([category[name] for name, _ in keys], np.int64)


def refit_days(calendar: Calendar, settings: LabellingSettings) -> Ints:
    """Days of estimates, since 1970-01-01: the same ones whenever the log begins or ends."""
    step = settings.prior_refit_days
    return np.arange(-(-calendar.first // step) * step, calendar.as_of + 1, step)


def log_moments(
    counts: pa.Table, curves: Curves, attribution_days: int, settings: LabellingSettings
) -> Floats:
    """`strength.setup_moments` of whole setups on the refit days."""
    facts = SetupCounts.of(counts, curves.calendar)
    of_row = categories_of(facts.keys, curves.category)
    conversions, clicks, _ = observed_sums(
        facts.daily, of_row, curves, settings.delay, attribution_days, settings
    )
    # Squared weights are the weights of half the half-life.
    _, variances, _ = observed_sums(
        facts.daily,
        of_row,
        curves,
        settings.delay,
        attribution_days,
        settings,
        settings.half_life_days / 2,
    )
    at = refit_days(curves.calendar, settings) - curves.calendar.first
    group = np.array([curves.groups[key] for key in facts.keys], np.int64)
    return setup_moments(
        conversions[:, at], clicks[:, at], variances[:, at], group, len(curves.groups)
    )


def _strength(curves: Curves, settings: LabellingSettings, moments: Floats | None) -> PriorStrength:
    calendar = curves.calendar
    if settings.prior_clicks != "estimate":
        return fixed_strength(settings.prior_clicks, len(curves.category), calendar.days)
    if moments is None:
        raise ValueError("prior_clicks is `estimate`: wanted the moments of all setups")
    by_category, _ = estimate_strength(
        moments, curves.category_of_group, len(curves.category), settings.prior_min_setups
    )
    days = np.arange(calendar.first, calendar.as_of + 1)
    held = held_between(refit_days(calendar, settings), by_category, days)
    return PriorStrength(held, np.full(calendar.days, UNTIL_ESTIMATED))
