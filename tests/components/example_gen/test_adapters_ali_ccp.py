"""Ali-CCP on rows written by hand in the published layout."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from components.example_gen.adapters import open_adapter
from components.example_gen.readers.source import Source, Window
from schemas.errors import InputError

ALL = Window(date(2017, 1, 1), date(2017, 4, 1))
TRAIN, TEST = 1_483_228_800, 1_488_326_400
"""2017-01-01 and 2017-03-01, 00:00 UTC."""


def items(**features: Any) -> str:
    """`f205=("7", 1.0)` or a list of such pairs -> the log's feature list."""
    flat = [
        f"{name[1:]}\x02{key}\x03{value}"
        for name, pairs in features.items()
        for key, value in (pairs if isinstance(pairs, list) else [pairs])
    ]
    return "\x01".join(flat)


def skeleton(sample: int, click: Any, purchase: Any, key: str, features: str) -> str:
    return f"{sample},{click},{purchase},{key},{features.count(chr(3))},{features}"


ITEM = items(f205=("900", 1.0), f206=("12", 1.0), f207=("34", 1.0), f301=("2", 1.0))


def write(folder: Path, train: list[str], common: list[str], test: list[str] | None = None) -> None:
    (folder / "sample_skeleton_train.csv").write_text("\n".join(train) + "\n")
    (folder / "common_features_train.csv").write_text("\n".join(common) + "\n")
    (folder / "sample_skeleton_test.csv").write_text("\n".join(test or train) + "\n")
    (folder / "common_features_test.csv").write_text("\n".join(common) + "\n")


def user(key: str, features: str) -> str:
    return f"{key},{features.count(chr(3))},{features}"


def rows(source: Source, *columns: str) -> list[tuple[Any, ...]]:
    return [
        tuple(row[name] for name in columns)
        for shard in source.shards()
        for batch in source.read(shard)
        for row in batch.to_pylist()
    ]


def test_by_hand(tmp_path: Path) -> None:
    wide = items(
        f205=("901", 1.0), f206=("13", 1.0), f508=("9012", 2.5), f207=("34", 1.0), f216=("5", 1.0)
    )
    common = [
        user("u1", items(f101=("77", 1.0), f109_14=[("1", 0.5), ("2", 1.5)], f122=("3", 1.0))),
        user("u2", items(f127_14=("5", 1.0), f127=("9", 1.0))),
    ]
    write(
        tmp_path,
        [
            skeleton(1, 1, 0, "u1", ITEM),
            skeleton(2, 0, 0, "nobody", ITEM),
            skeleton(3, 0, 1, "u1", ITEM),
            skeleton(4, 1, 1, "u2", wide),
        ],
        common,
        [skeleton(5, 1, 0, "u2", ITEM)],
    )
    source = open_adapter("ali_ccp", tmp_path, ALL, {})
    assert rows(source, "timestamp", "label", "item_205", "item_206", "item_207", "item_216") == [
        (TRAIN, 0, "900", "12", "34", None),
        (TRAIN, 1, "901", "13", "34", "5"),
        (TEST, 0, "900", "12", "34", None),
    ]
    assert rows(source, "cross_508", "cross_508_value", "context_301", "conversion_type") == [
        (None, None, "2", "purchase"),
        ("9012", 2.5, None, "purchase"),
        (None, None, "2", "purchase"),
    ]
    assert rows(source, "user_101", "user_122", "user_127") == [
        ("77", "3", None),
        (None, None, "9"),
        (None, None, "9"),
    ]
    assert rows(source, "user_109_14_count", "user_127_14_count") == [(2, 0), (0, 1), (0, 1)]


def test_days_choose_the_files(tmp_path: Path) -> None:
    write(tmp_path, [skeleton(1, 1, 0, "u1", ITEM)], [user("u1", items(f101=("7", 1.0)))])
    early = Window(date(2017, 1, 1), date(2017, 2, 1))
    assert [s.split(":")[0] for s in open_adapter("ali_ccp", tmp_path, early, {}).shards()] == [
        "train"
    ]
    moved = open_adapter("ali_ccp", tmp_path, early, {"train_day": "2016-12-01"})
    assert moved.shards() == ()


def test_days_in_the_wrong_order(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="test_day 2016-12-31: wanted a day after 2017-01-01"):
        open_adapter("ali_ccp", tmp_path, ALL, {"test_day": "2016-12-31"})


@pytest.mark.parametrize(
    ("row", "common", "message"),
    [
        (
            skeleton(2, 1, 0, "u9", ITEM),
            items(f101=("7", 1.0)),
            r"skeleton_train\.csv: line 3: column 'common_feature_index': 'u9'; wanted a key of .*"
            r"common_features_train\.csv",
        ),
        (
            skeleton(2, 1, "maybe", "u1", ITEM),
            items(f101=("7", 1.0)),
            r"skeleton_train\.csv: line 3: column 'purchase': 'maybe'; wanted 0 or 1",
        ),
        (
            skeleton(2, 1, 0, "u1", "205:900:1.0"),
            items(f101=("7", 1.0)),
            r"skeleton_train\.csv: line 3: column 'feature_list': '205:900:1\.0'; wanted items",
        ),
        (
            skeleton(2, 1, 0, "u1", items(f508=("1", "much"))),
            items(f101=("7", 1.0)),
            r"skeleton_train\.csv: line 3: column 'feature_list': .*each value a number",
        ),
        (
            skeleton(2, 1, 0, "u1", ITEM),
            "101=7",
            r"common_features_train\.csv: line 1: column 'feature_list': '101=7'; wanted items",
        ),
        ("5,1,0", items(f101=("7", 1.0)), r"skeleton_train\.csv: .*Expected 6 columns, got 3"),
    ],
)
def test_broken_rows(tmp_path: Path, row: str, common: str, message: str) -> None:
    # The unclicked second line counts, though it is left out.
    good, unclicked = skeleton(1, 1, 0, "u1", ITEM), skeleton(9, 0, 0, "u1", ITEM)
    write(tmp_path, [good, unclicked, row], [user("u1", common)])
    with pytest.raises(InputError, match=message):
        rows(open_adapter("ali_ccp", tmp_path, ALL, {}), "label")
