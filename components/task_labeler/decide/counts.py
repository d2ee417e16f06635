"""Clicks and conversions summed per setup, day and delay: all that assignments depend on."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from common.days import SECONDS_PER_DAY

NOT_CONVERTED = -1
"""Delay of clicks with no conversion."""

KEYS = ("setup_id", "category", "advertiser_type", "day", "delay")
SCHEMA = pa.schema(
    [
        ("setup_id", pa.string()),
        ("category", pa.string()),
        ("advertiser_type", pa.string()),
        ("day", pa.int32()),
        ("delay", pa.int32()),
        ("clicks", pa.int64()),
    ]
)

DELAY_KEYS = ("category", "day", "below")
DELAY_SCHEMA = pa.schema(
    [
        ("category", pa.string()),
        ("day", pa.int32()),
        ("below", pa.int64()),
        ("conversions", pa.int64()),
    ]
)
MINUTES = (1, 2, 5, 10, 20, 40)
HOURLY_DAYS = 3
"""Days of delay that are told apart by the hour: most conversions come within one."""


def delay_edges(attribution_days: int) -> npt.NDArray[np.int64]:
    """Upper ends of the ranges in which delays are counted, seconds, increasing: minutes, hours,
    then days up to the attribution window, one at least."""
    hours = np.arange(1, 24 * min(HOURLY_DAYS, max(attribution_days, 1)) + 1) * 3600
    days = np.arange(HOURLY_DAYS + 1, attribution_days + 1) * SECONDS_PER_DAY
    return np.concatenate([np.array(MINUTES) * 60, hours, days]).astype(np.int64)


def count_delays(
    category: pa.Array,
    click_time: npt.NDArray[np.int64],
    conversion_time: npt.NDArray[np.int64],
    attribution_days: int,
) -> pa.Table:
    """Conversions of one batch of clicks by how long they took.

    Args:
      category: strings, one a click.
      click_time, conversion_time: as in `count_clicks`.

    Returns:
      A table of `DELAY_SCHEMA`: `below` is the end of `delay_edges` that the delay in seconds is
      below (the last one includes its end). Conversions after the attribution window are left out.
    """
    edges = delay_edges(attribution_days)
    delay = conversion_time - click_time
    counted = np.flatnonzero((conversion_time >= 0) & (delay <= edges[-1]))
    place = np.minimum(np.searchsorted(edges, delay[counted], side="right"), len(edges) - 1)
    day = (click_time[counted] // SECONDS_PER_DAY).astype("i4")
    rows = [category.take(pa.array(counted)), pa.array(day), pa.array(edges[place])]
    ones = pa.array(np.ones(len(counted), np.int64))
    return merge_delays([pa.table([*rows, ones], DELAY_SCHEMA)])


def merge_delays(tables: Iterable[pa.Table]) -> pa.Table:
    """Sums tables of `DELAY_SCHEMA`, sorted by their keys."""
    whole = pa.concat_tables([DELAY_SCHEMA.empty_table(), *tables])
    merged = whole.group_by(list(DELAY_KEYS)).aggregate([("conversions", "sum")])
    merged = merged.select([*DELAY_KEYS, "conversions_sum"]).rename_columns(DELAY_SCHEMA.names)
    return merged.take(pc.sort_indices(merged, [(key, "ascending") for key in DELAY_KEYS]))


def count_clicks(
    setup_id: pa.Array,
    category: pa.Array,
    advertiser_type: pa.Array,
    click_time: npt.NDArray[np.int64],
    conversion_time: npt.NDArray[np.int64],
) -> pa.Table:
    """Partial sums of one batch of clicks.

    Args:
      setup_id, category, advertiser_type: strings, one a click.
      click_time: seconds since 1970-01-01 UTC.
      conversion_time: the same for the conversion, -1 where there is none.

    Returns:
      A table of `SCHEMA`: `day` is the click's day since 1970-01-01; `delay` is the conversion's
      calendar day minus the click's, or -1.
    """
    day = click_time // SECONDS_PER_DAY
    delay = np.where(conversion_time < 0, NOT_CONVERTED, conversion_time // SECONDS_PER_DAY - day)
    clicks = pa.table(
        [setup_id, category, advertiser_type, day.astype("i4"), delay.astype("i4")], list(KEYS)
    )
    counted = clicks.group_by(list(KEYS)).aggregate([("day", "count")])
    return counted.select([*KEYS, "day_count"]).rename_columns(SCHEMA.names).cast(SCHEMA)


def merge_counts(tables: Iterable[pa.Table], keys: tuple[str, ...] = KEYS) -> pa.Table:
    """Sums tables of `SCHEMA` over the keys, sorted by them; exact, whatever the order."""
    whole = pa.concat_tables([SCHEMA.empty_table().select([*keys, "clicks"]), *tables])
    if whole.num_rows == 0:
        return whole
    merged = whole.group_by(list(keys)).aggregate([("clicks", "sum")])
    merged = merged.select([*keys, "clicks_sum"]).rename_columns([*keys, "clicks"])
    return merged.take(pc.sort_indices(merged, [(key, "ascending") for key in keys]))


GROUP_KEYS = ("category", "advertiser_type", "day", "delay")


def group_counts(counts: pa.Table) -> pa.Table:
    """Sums over setups: the counts that priors and completeness curves are made of."""
    return merge_counts([counts.select([*GROUP_KEYS, "clicks"])], GROUP_KEYS)
