"""RetailRocket: item views, carts and purchases of an online shop.

Data: the Retailrocket recommender system data set on Kaggle, files `events.csv`,
`item_properties_part1.csv`, `item_properties_part2.csv` and `category_tree.csv`, comma-separated
with headers; times are Unix milliseconds, 2015-05-03 to 2015-09-18. Licence: CC BY-NC-SA 4.0 as
far as known; read the terms of the page. Provenance: an unnamed shop's log, hashed by Retail
Rocket.

A view of an item stands for a click. Each view is one example per conversion type: `addtocart`
and `transaction` (bought), credited to the visitor's last view of the item before it. The setup
is the item's root category x the conversion type; items without a category at that time are
under `unknown` (properties are dated from a week after the first events on).

The whole log is held in memory by each process that reads it: about 2 GB.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from common.days import first_second
from components.example_gen.adapters.base import (
    Opening,
    conversions,
    days_in,
    hour_and_weekday,
    per_type,
)
from components.example_gen.adapters.retailrocket.tables import (
    DAY_MS,
    FEATURES,
    FILES,
    NEVER,
    TYPES,
    load_views,
)
from schemas.base import Frozen

VERSION = 1
TEXT = ("visitorid", "itemid", "categoryid", "root_category", "available")


class RetailRocketOptions(Frozen):
    """The adapter takes no options, so that any key under `input.options` is refused."""


class RetailRocket:
    """The log as a `Source`; a shard is a day (UTC)."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._options = opening.checked(RetailRocketOptions)

    def shards(self) -> tuple[str, ...]:
        times = self._views()["timestamp"]
        if times.empty:
            return ()
        first, last = (
            datetime.fromtimestamp(ms // 1000, UTC).date() for ms in (times.min(), times.max())
        )
        days = (first + timedelta(days=i) for i in range((last - first).days + 1))
        return tuple(
            day.isoformat()
            for day in days
            if days_in(self._opening.window, first_second(day), first_second(day))
        )

    def read(self, shard: str) -> Iterator[pa.RecordBatch]:
        start = first_second(date.fromisoformat(shard)) * 1000
        views = self._views()
        first, last = np.searchsorted(views["timestamp"], [start, start + DAY_MS])
        yield _examples(views.iloc[first:last], self._opening.attribution_seconds)

    def fingerprint(self) -> str:
        return self._opening.fingerprint(VERSION, self._options, self._files())

    def _files(self) -> list[Path]:
        return [self._opening.file(name) for name in FILES]

    def _views(self) -> pd.DataFrame:
        stamps = [path.stat().st_mtime_ns for path in self._files()]
        return load_views(self._opening.root, repr(stamps))


def _examples(views: pd.DataFrame, window_seconds: int) -> pa.RecordBatch:
    clicked = pa.array(views["timestamp"].to_numpy(np.int64) // 1000)
    rows = {
        "timestamp": clicked,
        **{name: pa.array(views[name], pa.string()) for name in TEXT},
        **hour_and_weekday(clicked),
        **{name: pa.array(views[name], pa.float32(), from_pandas=True) for name in FEATURES},
    }
    outcomes = {}
    for kind in TYPES:
        time = views[kind].to_numpy(np.int64)
        delay = pa.array(time // 1000 - views["timestamp"].to_numpy(np.int64) // 1000)
        outcomes[kind] = conversions(clicked, pa.array(time != NEVER), delay, window_seconds)
    return per_type(rows, outcomes)
