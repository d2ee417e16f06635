"""RetailRocket: rows by hand, and random logs against a loop over the definitions."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.example_gen.adapters import open_adapter
from components.example_gen.adapters.retailrocket.tables import TYPES, views
from components.example_gen.readers.source import Window
from schemas.contract import load_contract
from schemas.errors import InputError

MAY = Window(date(2015, 5, 1), date(2015, 6, 1))
NOON = 1_431_345_600
"""2015-05-11 12:00 UTC, a Monday."""
HOUR, DAY = 3600, 86_400


def ms(offset: int) -> int:
    return (NOON + offset) * 1000


def write(folder: Path, events: list[str], tree: str = "1,\n2,1\n3,2\n") -> None:
    header = "timestamp,visitorid,event,itemid,transactionid\n"
    (folder / "events.csv").write_text(header + "".join(f"{e}\n" for e in events))
    header = "timestamp,itemid,property,value\n"
    (folder / "item_properties_part1.csv").write_text(
        f"{header}{ms(-9)},40,categoryid,3\n{ms(-9)},40,888,n1.000 55\n"
        f"{ms(5 * HOUR)},41,categoryid,1\n"
    )
    (folder / "item_properties_part2.csv").write_text(
        f"{header}{ms(-9)},40,available,0\n{ms(HOUR)},40,available,1\n"
    )
    (folder / "category_tree.csv").write_text("categoryid,parentid\n" + tree)


EVENTS = [
    f"{ms(2 * HOUR)},7,addtocart,40,",
    f"{ms(0)},7,view,40,",
    f"{ms(HOUR)},7,view,40,",
    f"{ms(HOUR) + 1},8,view,41,",
    f"{ms(3 * HOUR)},7,transaction,40,991",
    f"{ms(4 * HOUR)},7,addtocart,40,",
    f"{ms(DAY)},7,view,41,",
]


def read(folder: Path, days: int = 30) -> pd.DataFrame:
    contract = load_contract("retailrocket").model_copy(update={"attribution_window_days": days})
    source = open_adapter("retailrocket", folder, MAY, {}, contract)
    parts = [batch.to_pandas() for shard in source.shards() for batch in source.read(shard)]
    return pd.concat(parts, ignore_index=True)


def rows(table: pd.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    return list(table[list(columns)].itertuples(index=False, name=None))


def test_by_hand(tmp_path: Path) -> None:
    write(tmp_path, EVENTS)
    source = open_adapter("retailrocket", tmp_path, MAY, {})
    assert source.shards() == ("2015-05-11", "2015-05-12")
    table = read(tmp_path)
    keys = ("visitorid", "itemid", "timestamp", "conversion_type", "label", "conversion_timestamp")
    assert rows(table, *keys) == [
        ("7", "40", NOON, "addtocart", 0, -1),
        ("7", "40", NOON, "transaction", 0, -1),
        ("7", "40", NOON + HOUR, "addtocart", 1, NOON + 2 * HOUR),
        ("7", "40", NOON + HOUR, "transaction", 1, NOON + 3 * HOUR),
        ("8", "41", NOON + HOUR, "addtocart", 0, -1),
        ("8", "41", NOON + HOUR, "transaction", 0, -1),
        ("7", "41", NOON + DAY, "addtocart", 0, -1),
        ("7", "41", NOON + DAY, "transaction", 0, -1),
    ]
    once = table[::2]
    assert rows(once, "categoryid", "root_category", "available", "hour", "weekday") == [
        ("3", "1", "0", "12", "0"),
        ("3", "1", "1", "13", "0"),
        (None, "unknown", None, "13", "0"),
        ("1", "1", None, "12", "1"),
    ]
    counts = (
        "visitor_views",
        "visitor_addtocarts",
        "pair_views",
        "item_views",
        "item_recent_views",
    )
    assert rows(once, *counts) == [
        (0, 0, 0, 0, 0),
        (1, 0, 1, 1, 1),
        (0, 0, 0, 0, 0),
        (2, 2, 0, 1, 1),
    ]
    since = once["visitor_hours_since_event"].tolist()
    assert since[1] == 1.0
    assert since[3] == 20.0
    assert np.isnan([since[0], since[2]]).all()


def test_conversions_after_the_window_do_not_count(tmp_path: Path) -> None:
    write(
        tmp_path,
        [
            f"{ms(0)},7,view,40,",
            f"{ms(DAY)},7,addtocart,40,",
            f"{ms(DAY + 1)},7,transaction,40,1",
        ],
    )
    assert read(tmp_path, days=1)["label"].tolist() == [1, 0]
    assert read(tmp_path, days=2)["label"].tolist() == [1, 1]


EVENT = st.tuples(
    st.integers(0, 40).map(lambda step: ms(0) + step * 450_000),
    st.integers(1, 2),
    st.sampled_from(["view", "view", *TYPES]),
    st.integers(40, 41),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(EVENT, min_size=1, max_size=25))
def test_views_against_a_loop(log: list[tuple[int, int, str, int]]) -> None:
    events = pd.DataFrame(log, columns=["timestamp", "visitorid", "event", "itemid"])
    none = pd.DataFrame(
        {"timestamp": [0], "itemid": [99], "property": ["categoryid"], "value": ["3"]}
    )
    table = views(events, none, {})
    seen = sorted((e for e in log if e[2] == "view"), key=lambda e: e[0])
    assert table["timestamp"].tolist() == [e[0] for e in seen]
    for row, (time, visitor, _, item) in zip(table.to_dict("records"), seen, strict=True):
        past = [e for e in log if e[0] < time]
        for kind in ("view", *TYPES):
            of_kind = [e for e in past if e[2] == kind]
            assert row[f"visitor_{kind}s"] == sum(e[1] == visitor for e in of_kind)
            assert row[f"item_{kind}s"] == sum(e[3] == item for e in of_kind)
            assert row[f"pair_{kind}s"] == sum((e[1], e[3]) == (visitor, item) for e in of_kind)
        assert row["visitor_recent_views"] == sum(
            e[1] == visitor and e[2] == "view" and e[0] >= time - 3_600_000 for e in past
        )
        last = max((e[0] for e in past if e[1] == visitor), default=None)
        hours = row["visitor_hours_since_event"]
        assert np.isnan(hours) if last is None else hours == np.float32((time - last) / 3_600_000)
    for kind in TYPES:
        # Every conversion with an earlier view of its visitor and item is credited at most once.
        credited = table[table[kind] >= 0]
        pairs = {(str(v), str(i), t) for t, v, k, i in log if k == kind}
        assert set(zip(credited.visitorid, credited.itemid, credited[kind], strict=True)) <= pairs
        for time, visitor, _, item in (e for e in log if e[2] == kind):
            before = [e[0] for e in seen if (e[1], e[3]) == (visitor, item) and e[0] <= time]
            if before:
                of_pair = credited[
                    (credited.visitorid == str(visitor))
                    & (credited.itemid == str(item))
                    & (credited.timestamp == max(before))
                ]
                assert of_pair[kind].min() <= time


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ("noon,7,view,40,", r"events\.csv: line 3: column 'timestamp': 'noon'; wanted an integer"),
        ("5,7,buy,40,", r"events\.csv: line 3: column 'event': 'buy'; wanted one of view, addtoc"),
        ("5,7,view", r"events\.csv: .*Expected 5 columns, got 3"),
    ],
)
def test_broken_events(tmp_path: Path, event: str, message: str) -> None:
    write(tmp_path, [EVENTS[1], event])
    with pytest.raises(InputError, match=message):
        read(tmp_path)


def test_category_circle(tmp_path: Path) -> None:
    write(tmp_path, EVENTS, tree="1,2\n2,1\n")
    with pytest.raises(InputError, match=r"category_tree\.csv: column 'parentid': '1' is its own"):
        read(tmp_path)


def test_missing_property_file(tmp_path: Path) -> None:
    write(tmp_path, EVENTS)
    (tmp_path / "item_properties_part2.csv").unlink()
    with pytest.raises(InputError, match=r"item_properties_part2\.csv: no such file"):
        read(tmp_path)
