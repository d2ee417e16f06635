"""Ali-CCP: clicks and purchases in Taobao's recommender, without times.

Data: https://tianchi.aliyun.com/dataset/408, files `sample_skeleton_{train,test}.csv` and
`common_features_{train,test}.csv`, comma-separated without headers; `.csv.gz` is read too.
Licence: that of the Tianchi page; read it before use. Provenance: Taobao traffic, anonymised by
Alibaba (Ma et al., SIGIR 2018).

The clicked rows are read (a purchase without a click is an error of the log and is left out with
the other unclicked rows), each one example of type `purchase`. Columns are named by the log's
field ids: `user_101`, `item_206`, `cross_508`, `context_301`. The user's lists of past
categories, shops, brands and intentions (109_14, 110_14, 127_14, 150_14) become their lengths;
the cross fields also give their values.

Limits: the log has no times. All train rows are put on one day and all test rows on a later one
(options `train_day` and `test_day`, arbitrary defaults), so this is a snapshot: train rows have
no past to take a setup's CVR from, only test rows do. Delays are unknown too; purchases count
from the end of the attribution window, so the two days must lie further apart than that.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import model_validator

from common.days import first_second
from components.example_gen.adapters.base import Opening, days_in
from components.example_gen.adapters.delimited import Layout, Rows, spans, text_blocks
from schemas.base import Day, Frozen

VERSION = 1
SPLITS = ("train", "test")
USER = ("101", "121", "122", "124", "125", "126", "127", "128", "129")
USER_LISTS = ("109_14", "110_14", "127_14", "150_14")
CROSS = ("508", "509", "702", "853")
FIELDS = {
    **{f"item_{field}": field for field in ("205", "206", "207", "210", "216")},
    **{f"cross_{field}": field for field in CROSS},
    "context_301": "301",
}
"""Columns taken from the skeleton's feature list, and their field ids."""

BETWEEN_ITEMS, AFTER_FIELD, AFTER_ID = "\x01", "\x02", "\x03"
ITEM = f"^(?P<field>[^{AFTER_FIELD}]+){AFTER_FIELD}(?P<id>[^{AFTER_ID}]+){AFTER_ID}(?P<value>.+)$"
NUMBER = r"^-?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?$"
WANTED_ITEMS = r"items field\x02id\x03value separated by \x01"

SKELETON = Layout(
    ("sample_id", "click", "purchase", "common_feature_index", "feature_num", "feature_list"),
    ",",
    header=False,
)
COMMON = Layout(("common_feature_index", "feature_num", "feature_list"), ",", header=False)


class AliCcpOptions(Frozen):
    train_day: Day = date(2017, 1, 1)
    """The day of all train rows."""
    test_day: Day = date(2017, 3, 1)
    """The day of all test rows."""

    @model_validator(mode="after")
    def _in_order(self) -> AliCcpOptions:
        if self.test_day <= self.train_day:
            raise ValueError(f"test_day {self.test_day}: wanted a day after {self.train_day}")
        return self


class AliCcp:
    """The log as a `Source`; a shard is a byte range of a skeleton file."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._options = opening.checked(AliCcpOptions)

    def shards(self) -> tuple[str, ...]:
        return tuple(
            f"{split}:{span}"
            for split in SPLITS
            if days_in(self._opening.window, self._time(split), self._time(split))
            for span in spans(self._file("sample_skeleton", split))
        )

    def read(self, shard: str) -> Iterator[pa.RecordBatch]:
        split, span = shard.split(":")
        path = self._file("sample_skeleton", split)
        common = self._file("common_features", split)
        users = load_users(common, common.stat().st_mtime_ns)
        for rows in text_blocks(path, SKELETON, SKELETON.columns, span):
            yield _examples(rows, users, common, self._time(split))

    def fingerprint(self) -> str:
        files = [
            self._file(kind, split)
            for kind in ("sample_skeleton", "common_features")
            for split in SPLITS
            if days_in(self._opening.window, self._time(split), self._time(split))
        ]
        return self._opening.fingerprint(VERSION, self._options, files)

    def _time(self, split: str) -> int:
        return first_second(self._options.train_day if split == "train" else self._options.test_day)

    def _file(self, kind: str, split: str) -> Path:
        packed = self._opening.root / f"{kind}_{split}.csv.gz"
        return packed if packed.is_file() else self._opening.file(f"{kind}_{split}.csv")


@lru_cache(maxsize=1)
def load_users(path: Path, changed: int) -> pd.DataFrame:
    """User features of a common features file, indexed by its keys; `changed` names its state.

    Columns `user_101` ... (str or None) and `user_109_14_count` ... (float). Raises `InputError`
    for a line that does not hold features.
    """
    parts = []
    for rows in text_blocks(path, COMMON, ("common_feature_index", "feature_list")):
        lists = rows.batch.column("feature_list")
        columns = parse_features(rows, USER)
        part = pd.DataFrame(
            {f"user_{field}": columns[field][0].to_numpy(False) for field in USER},
            index=rows.batch.column("common_feature_index").to_numpy(False),
        )
        led = pc.binary_join_element_wise("", lists, BETWEEN_ITEMS)
        for field in USER_LISTS:
            count = pc.count_substring(led, f"{BETWEEN_ITEMS}{field}{AFTER_FIELD}")
            part[f"user_{field}_count"] = count.to_numpy().astype(np.float32)
        parts.append(part)
    users = pd.concat(parts)
    return users[~users.index.duplicated()]


def parse_features(rows: Rows, fields: tuple[str, ...]) -> dict[str, tuple[pa.Array, pa.Array]]:
    """Id (string) and value (float64) of each single-valued field, null where a row has none.

    Raises:
      InputError: a row's list holds something other than items, or a value is not a number.
    """
    lists = rows.batch.column("feature_list")
    items = pc.add(pc.count_substring(lists, BETWEEN_ITEMS), 1)
    whole = pc.and_(
        pc.equal(pc.count_substring(lists, AFTER_FIELD), items),
        pc.equal(pc.count_substring(lists, AFTER_ID), items),
    )
    malformed = pc.invert(pc.or_(whole, pc.equal(lists, "")))
    if pc.any(malformed).as_py():
        rows.fail(malformed.index(True).as_py(), "feature_list", WANTED_ITEMS)
    split = pc.split_pattern(lists, BETWEEN_ITEMS)
    row, items = pc.list_parent_indices(split), pc.list_flatten(split)
    wanted = pc.match_substring_regex(items, f"^({'|'.join(fields)}){AFTER_FIELD}")
    row, parts = row.filter(wanted), pc.extract_regex(items.filter(wanted), ITEM)
    if parts.null_count:
        rows.fail(row[parts.is_null().index(True).as_py()].as_py(), "feature_list", WANTED_ITEMS)
    columns = {}
    for field in fields:
        of_field = pc.equal(parts.field("field"), field)
        place = np.full(len(rows), -1)
        place[row.filter(of_field).to_numpy()] = np.arange(pc.sum(of_field).as_py() or 0)
        take = pa.array(place, mask=place < 0)
        value = parts.field("value").filter(of_field)
        wrong = pc.invert(pc.match_substring_regex(value, NUMBER))
        if pc.any(wrong).as_py():
            bad = row.filter(of_field)[wrong.index(True).as_py()].as_py()
            rows.fail(bad, "feature_list", f"{WANTED_ITEMS}, each value a number")
        number = pc.cast(value, pa.float64())
        columns[field] = (parts.field("id").filter(of_field).take(take), number.take(take))
    return columns


def _examples(rows: Rows, users: pd.DataFrame, common: Path, time: int) -> pa.RecordBatch:
    rows = rows.where(rows.flags("click"))
    place = users.index.get_indexer(rows.batch.column("common_feature_index").to_numpy(False))
    if (place < 0).any():
        rows.fail(int((place < 0).argmax()), "common_feature_index", f"a key of {common}")
    features = parse_features(rows, tuple(FIELDS.values()))
    mine = users.iloc[place]
    return pa.RecordBatch.from_pydict(
        {
            "timestamp": pa.array(np.full(len(rows), time, np.int64)),
            "label": pc.cast(rows.flags("purchase"), pa.int64()),
            "conversion_type": pa.array(["purchase"] * len(rows), pa.string()),
            **{name: features[field][0] for name, field in FIELDS.items()},
            **{f"cross_{field}_value": features[field][1] for field in CROSS},
            **{f"user_{field}": pa.array(mine[f"user_{field}"], pa.string()) for field in USER},
            **{
                f"user_{field}_count": pa.array(mine[f"user_{field}_count"], pa.float32())
                for field in USER_LISTS
            },
        }
    )
