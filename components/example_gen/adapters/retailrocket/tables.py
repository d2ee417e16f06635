"""RetailRocket's events as one table of item views with outcomes and features.

Features are as of the view: only events strictly before it, and item properties dated no later
than it, are looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from common.arrays import Bools, Floats, Ints
from common.days import SECONDS_PER_DAY
from components.example_gen.adapters.delimited import Layout, text_blocks
from schemas.errors import InputError

EVENTS = Layout(("timestamp", "visitorid", "event", "itemid", "transactionid"), ",", header=True)
PROPERTIES = Layout(("timestamp", "itemid", "property", "value"), ",", header=True)
TREE = Layout(("categoryid", "parentid"), ",", header=True)
EVENTS_FILE, TREE_FILE = "events.csv", "category_tree.csv"
PROPERTY_FILES = ("item_properties_part1.csv", "item_properties_part2.csv")
FILES = (EVENTS_FILE, *PROPERTY_FILES, TREE_FILE)

ITEM_PROPERTIES = ("categoryid", "available")
"""Properties that are read; the others are hashed texts."""

VIEW = "view"
TYPES = ("addtocart", "transaction")
"""Events that are conversions."""

NEVER = -1
UNKNOWN = "unknown"
"""Category of an item that had none yet."""

HOUR_MS, DAY_MS = 3_600_000, SECONDS_PER_DAY * 1000
KEYS = {"visitor": ["visitorid"], "item": ["itemid"], "pair": ["visitorid", "itemid"]}
RECENT_MS = {"visitor": HOUR_MS, "item": DAY_MS}
"""How far back views are recent."""


@lru_cache(maxsize=1)
def load_views(root: Path, stamp: str) -> pd.DataFrame:
    """Reads the four files, once per process while `stamp` stays the same; see `views`."""
    events = _events(root / EVENTS_FILE)
    properties = pd.concat([_properties(root / name) for name in PROPERTY_FILES], ignore_index=True)
    return views(events, properties, _roots(root / TREE_FILE))


def views(events: pd.DataFrame, properties: pd.DataFrame, roots: Mapping[str, str]) -> pd.DataFrame:
    """A row per view, in the order of time.

    Args:
      events: `timestamp` (ms), `visitorid`, `itemid` (int64), `event`.
      properties: `timestamp` (ms), `itemid` (int64), `property` (categoryid or available), `value`.
      roots: root category of each category.

    Returns:
      `timestamp` (int64 ms); `visitorid`, `itemid`, `categoryid`, `available`, `root_category`
      (strings, the last `UNKNOWN` and the others None when not known); the features of
      `FEATURES` (float32); and per conversion type its time (int64 ms, `NEVER` for none): a
      conversion belongs to the visitor's last view of the item no later than it.
    """
    events = events.sort_values("timestamp", kind="stable", ignore_index=True)
    seen = events[events["event"] == VIEW].reset_index(drop=True)
    time = seen["timestamp"].to_numpy(np.int64)
    category = _as_of(seen, properties[properties["property"] == "categoryid"])
    table = pd.DataFrame(
        {
            "timestamp": time,
            "visitorid": seen["visitorid"].astype(str),
            "itemid": seen["itemid"].astype(str),
            "categoryid": category,
            "available": _as_of(seen, properties[properties["property"] == "available"]),
            "root_category": category.map(roots).fillna(UNKNOWN),
        }
    )
    for name, values in _features(events).items():
        table[name] = values.astype(np.float32)
    for kind in TYPES:
        table[kind] = _conversion_times(events[events["event"] == kind], seen)
    return table


FEATURES = (
    *(f"{who}_{event}s" for who in ("visitor", "item", "pair") for event in (VIEW, *TYPES)),
    "visitor_recent_views",
    "item_recent_views",
    "visitor_hours_since_event",
)


def _features(events: pd.DataFrame) -> dict[str, Floats]:
    """Arrays [views] of the features in `FEATURES`."""
    kinds = {kind: (events["event"] == kind).to_numpy() for kind in (VIEW, *TYPES)}
    asking = kinds[VIEW]
    features = {}
    for who, columns in KEYS.items():
        key = events.groupby(columns, sort=False).ngroup().to_numpy(np.int64)
        log = KeyedTimes(key, events["timestamp"].to_numpy(np.int64))
        for kind, rows in kinds.items():
            features[f"{who}_{kind}s"] = log.count_before(rows, asking)
        if who in RECENT_MS:
            earlier = log.count_before(asking, asking, RECENT_MS[who])
            features[f"{who}_recent_views"] = features[f"{who}_views"] - earlier
        if who == "visitor":
            features["visitor_hours_since_event"] = log.since_last(asking) / HOUR_MS
    return features


class KeyedTimes:
    """Times (ms) by key, both int64 [events]; answers are as of each event asking.

    Key and time are one number, ordered by key, then by time, with a margin between keys.
    """

    def __init__(self, key: Ints, time: Ints) -> None:
        origin = int(time.min(initial=0)) - DAY_MS - 1
        span = int(time.max(initial=0)) - origin + 1
        self._first = key * span
        self._place = self._first + time - origin

    def count_before(self, counted: Bools, asking: Bools, ago: int = 0) -> Floats:
        """Counted events of the same key strictly before `ago` (ms) before each event asking."""
        past = np.sort(self._place[counted])
        end = _search(past, self._place[asking] - ago)
        return (end - _search(past, self._first[asking])).astype(np.float64)

    def since_last(self, asking: Bools) -> Floats:
        """ms since the key's last event strictly before; NaN when there is none."""
        past = np.sort(self._place)
        place, first = self._place[asking], self._first[asking]
        end = _search(past, place)
        last = past[np.maximum(end - 1, 0)]
        return np.where((end > 0) & (last >= first), place - last, np.nan)


def _search(past: Ints, places: Ints) -> Ints:
    """`np.searchsorted(past, places)`; looking up in order spares cache misses."""
    order = np.argsort(places)
    ranks = np.empty(len(places), np.int64)
    ranks[order] = np.searchsorted(past, places[order])
    return ranks


def _conversion_times(converted: pd.DataFrame, seen: pd.DataFrame) -> Ints:
    """Time (ms) of the first conversion that belongs to each view, or `NEVER`."""
    times = np.full(len(seen), NEVER, np.int64)
    credited = pd.merge_asof(
        converted[["timestamp", "visitorid", "itemid"]],
        seen[["timestamp", "visitorid", "itemid"]].assign(view=np.arange(len(seen))),
        on="timestamp",
        by=["visitorid", "itemid"],
    ).dropna(subset=["view"])
    first = credited.drop_duplicates("view")
    times[first["view"].to_numpy(np.int64)] = first["timestamp"].to_numpy(np.int64)
    return times


def _as_of(seen: pd.DataFrame, properties: pd.DataFrame) -> pd.Series:
    """The property's latest value no later than each view, None when there is none."""
    dated = properties[["timestamp", "itemid", "value"]].sort_values("timestamp", kind="stable")
    joined = pd.merge_asof(seen[["timestamp", "itemid"]], dated, on="timestamp", by="itemid")
    return joined["value"].astype(object).where(joined["value"].notna(), None)


def _events(path: Path) -> pd.DataFrame:
    parts = []
    for rows in text_blocks(path, EVENTS, ("timestamp", "visitorid", "event", "itemid")):
        parts.append(
            pd.DataFrame(
                {
                    "timestamp": rows.integers("timestamp").to_numpy(),
                    "visitorid": rows.integers("visitorid").to_numpy(),
                    "itemid": rows.integers("itemid").to_numpy(),
                    "event": rows.one_of("event", (VIEW, *TYPES)).to_numpy(False),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _properties(path: Path) -> pd.DataFrame:
    parts = []
    for rows in text_blocks(path, PROPERTIES, PROPERTIES.columns):
        kept = rows.where(pc.is_in(rows.batch.column("property"), pa.array(ITEM_PROPERTIES)))
        parts.append(
            pd.DataFrame(
                {
                    "timestamp": kept.integers("timestamp").to_numpy(),
                    "itemid": kept.integers("itemid").to_numpy(),
                    "property": kept.batch.column("property").to_numpy(False),
                    "value": kept.batch.column("value").to_numpy(False),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _roots(path: Path) -> dict[str, str]:
    """Root category of every category; raises `InputError` for a circle."""
    parent: dict[str, str] = {}
    for rows in text_blocks(path, TREE, TREE.columns):
        names = (rows.batch.column(name).to_pylist() for name in TREE.columns)
        parent.update(zip(*names, strict=True))
    roots = {}
    for category in parent:
        root, passed = category, {category}
        while parent.get(root):
            root = parent[root]
            if root in passed:
                raise InputError(
                    f"{path}: column 'parentid': {category!r} is its own ancestor; wanted a tree"
                )
            passed.add(root)
        roots[category] = root
    return roots
