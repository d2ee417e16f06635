"""The table of results, in the layout of the paper's Table 4, with bootstrap intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from common.arrays import Bools, Floats, Indices, Ints
from labs.ab_report.aggregate import median, nested_groups, pooled, weighted_geometric_mean
from labs.ab_report.ratios import Ratios
from labs.ab_report.read import ADVERTISER
from labs.ab_report.settings import AbReportSettings

ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X")
CHUNK_BYTES = 1 << 26
"""Memory for counts of resamples that are computed together."""

MIN_DEFINED = 0.95
"""Share of resamples on which a row must be defined for it to have an interval."""

Both = Callable[[Ints], tuple[Floats, Floats]]


@dataclass(frozen=True)
class Estimate:
    """A ratio and its interval; null where not defined, or with too few advertisers."""

    ratio: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
      name: as in the paper.
      cpa, conversion: ratios, variant over control.
      units, advertisers: how many have a part in it.
      spend_share: their share of all spend.
    """

    name: str
    cpa: Estimate
    conversion: Estimate
    units: int
    advertisers: int
    spend_share: float


def result_rows(outcome: pd.DataFrame, ratios: Ratios, settings: AbReportSettings) -> list[Row]:
    """Median, spend-weighted, a row a group of large advertisers, and pooled.

    Median and spend-weighted are over all units with ratios; a group's row is the spend-weighted
    geometric mean over the units of its advertisers. Groups are made from the spend of all units,
    before any is left out. Pooled is beyond the paper: total spend over total conversions, units
    without conversions included.
    """
    table = ratios.table
    total = float((outcome.spend_control + outcome.spend_variant).sum())
    spend = (outcome.spend_control + outcome.spend_variant).groupby(outcome[ADVERTISER]).sum()
    everywhere = np.ones(len(table), bool)
    rows = [
        _row("Median", table, everywhere, _medians, total, settings),
        _row("Spend-Weighted", table, everywhere, _geometric_means, total, settings),
    ]
    for place, group in enumerate(nested_groups(spend, settings.group_shares)):
        name = ROMAN[place] if place < len(ROMAN) else str(place + 1)
        member = table[ADVERTISER].isin(group).to_numpy()
        rows.append(_row(f"Group {name}", table, member, _geometric_means, total, settings))
    every_unit = outcome.assign(spend=outcome.spend_control + outcome.spend_variant)
    whole = np.ones(len(outcome), bool)
    rows.append(_row("Pooled", every_unit, whole, _pooled, total, settings))
    return rows


def _medians(units: pd.DataFrame) -> Both:
    cpa, conversion = _ratio_arrays(units)
    return lambda counts: (median(cpa, counts), median(conversion, counts))


def _geometric_means(units: pd.DataFrame) -> Both:
    cpa, conversion = _ratio_arrays(units)
    spend = units.spend.to_numpy(np.float64)
    return lambda counts: (
        weighted_geometric_mean(cpa, spend, counts),
        weighted_geometric_mean(conversion, spend, counts),
    )


def _pooled(units: pd.DataFrame) -> Both:
    return lambda counts: pooled(units, counts)


def _ratio_arrays(units: pd.DataFrame) -> tuple[Floats, Floats]:
    return units.cpa_ratio.to_numpy(np.float64), units.conversion_ratio.to_numpy(np.float64)


def _row(
    name: str,
    table: pd.DataFrame,
    member: Bools,
    aggregate: Callable[[pd.DataFrame], Both],
    total_spend: float,
    settings: AbReportSettings,
) -> Row:
    units = table[member].reset_index(drop=True)
    advertiser, names = pd.factorize(units[ADVERTISER], sort=True)
    if units.empty:
        cpa = conversion = Estimate(None, None, None)
    else:
        both = aggregate(units)
        at = both(np.ones((1, len(units)), np.int64))
        if len(names) < settings.min_advertisers:
            drawn: tuple[Floats, Floats] = (np.full(1, np.nan), np.full(1, np.nan))
        else:
            parts = [both(counts) for counts in _resamples(advertiser, len(names), settings)]
            drawn = (np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts]))
        cpa, conversion = (
            _estimate(float(at[i][0]), drawn[i], settings.confidence) for i in range(2)
        )
    return Row(
        name=name,
        cpa=cpa,
        conversion=conversion,
        units=len(units),
        advertisers=len(names),
        spend_share=float(units.spend.sum()) / total_spend if total_spend else 0.0,
    )


def _resamples(advertiser: Indices, advertisers: int, settings: AbReportSettings) -> Iterator[Ints]:
    """How often each unit was drawn when whole advertisers are, with replacement."""
    rng = np.random.default_rng(settings.seed)
    chunk = max(1, CHUNK_BYTES // (8 * max(len(advertiser), advertisers)))
    equal = np.full(advertisers, 1 / advertisers)
    for first in range(0, settings.resamples, chunk):
        size = min(chunk, settings.resamples - first)
        yield rng.multinomial(advertisers, equal, size)[:, advertiser].astype(np.int64)


def _estimate(value: float, drawn: Floats, confidence: float) -> Estimate:
    if math.isnan(value):
        return Estimate(None, None, None)
    known = drawn[np.isfinite(drawn)]
    if len(known) < MIN_DEFINED * len(drawn) or not len(known):
        return Estimate(value, None, None)
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(value, float(low), float(high))
