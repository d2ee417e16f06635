"""RetailRocket's events as one table of item views with outcomes and features.

Features are as of the view: only events strictly before it, and item properties dated no later
than it, are looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from components.example_gen.adapters.delimited import Layout, read_text
from schemas.errors import InputError

Ints = npt.NDArray[np.int64]

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

HOUR_MS, DAY_MS = 3_600_000, 86_400_000


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
    for name, values in _features(events, seen).items():
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


def _features(events: pd.DataFrame, seen: pd.DataFrame) -> dict[str, npt.NDArray[np.float64]]:
    time = seen["timestamp"].to_numpy(np.int64)
    keys = {"visitor": ["visitorid"], "item": ["itemid"], "pair": ["visitorid", "itemid"]}
    of_event = {name: frame for name, frame in events.groupby("event")}
    none = events.iloc[:0]
    features = {}
    for who, columns in keys.items():
        for event in (VIEW, *TYPES):
            past = Past(of_event.get(event, none), seen, columns)
            features[f"{who}_{event}s"] = past.before(time)
    for who, columns, span in (("visitor", keys["visitor"], HOUR_MS), ("item", ["itemid"], DAY_MS)):
        past = Past(of_event.get(VIEW, none), seen, columns)
        features[f"{who}_recent_views"] = past.before(time) - past.before(time - span)
    last = Past(events, seen, keys["visitor"]).last(time)
    features["visitor_hours_since_event"] = (time - last) / HOUR_MS
    return features


class Past:
    """Events by key and time, for questions about the key of each view.

    Args:
      events: `timestamp` (ms) and the key's columns.
      asking: the views, with the key's columns.
      columns: the key's columns.
    """

    def __init__(self, events: pd.DataFrame, asking: pd.DataFrame, columns: list[str]) -> None:
        both = pd.concat([events[columns], asking[columns]], ignore_index=True)
        code = both.groupby(columns, sort=False).ngroup().to_numpy(np.int64)
        times = np.concatenate([events["timestamp"], asking["timestamp"]]).astype(np.int64)
        # One number orders by key, then by time; the margin keeps neighbouring keys apart.
        self._origin = int(times.min(initial=0)) - DAY_MS - 1
        self._span = int(times.max(initial=0)) - self._origin + 1
        self._asking = code[len(events) :] * self._span
        past = code[: len(events)] * self._span + times[: len(events)] - self._origin
        self._past = np.sort(past)

    def before(self, time: Ints) -> npt.NDArray[np.float64]:
        """Number of events of each view's key strictly before `time` (ms, one per view)."""
        end = np.searchsorted(self._past, self._asking + time - self._origin)
        return (end - np.searchsorted(self._past, self._asking)).astype(np.float64)

    def last(self, time: Ints) -> npt.NDArray[np.float64]:
        """Time (ms) of the key's last event strictly before `time`, NaN when there is none."""
        end = np.searchsorted(self._past, self._asking + time - self._origin)
        some = end > np.searchsorted(self._past, self._asking)
        found = np.full(len(time), np.nan)
        found[some] = self._past[end[some] - 1] - self._asking[some] + self._origin
        return found


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
    for rows in read_text(path, EVENTS, ("timestamp", "visitorid", "event", "itemid")):
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
    for rows in read_text(path, PROPERTIES, PROPERTIES.columns):
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
    for rows in read_text(path, TREE, TREE.columns):
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
