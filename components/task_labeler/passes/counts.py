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
