"""Criteo's three logs on rows written by hand in the published layouts."""

from __future__ import annotations

import gzip
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.example_gen.adapters import open_adapter
from components.example_gen.adapters.criteo_attribution import LAYOUT as ATTRIBUTION
from components.example_gen.adapters.criteo_private_ad import DELAYS
from components.example_gen.adapters.criteo_search import LAYOUT as SEARCH
from components.example_gen.readers.source import Source, Window
from schemas.contract import Contract, load_contract
from schemas.errors import InputError

DAY = 86_400
JANUARY = Window(date(2017, 1, 1), date(2017, 2, 1))
EPOCH = 1_483_228_800
"""2017-01-01 00:00 UTC."""


def examples(source: Source) -> list[dict[str, Any]]:
    return [
        row
        for shard in source.shards()
        for batch in source.read(shard)
        for row in batch.to_pylist()
    ]


def outcomes(source: Source, *keys: str) -> list[tuple[Any, ...]]:
    names = (*keys, "conversion_type", "label", "conversion_timestamp")
    return [tuple(row[name] for name in names) for row in examples(source)]


def attribution_row(**values: Any) -> str:
    row = dict.fromkeys(ATTRIBUTION.columns, "7") | {
        "timestamp": "0",
        "conversion": "0",
        "conversion_timestamp": "-1",
        "attribution": "0",
        "click": "1",
        "cost": "0.25",
        "time_since_last_click": "-1",
    }
    return "\t".join(str((row | values)[name]) for name in ATTRIBUTION.columns)


def write_attribution(folder: Path, *rows: str) -> Path:
    text = "\n".join(["\t".join(ATTRIBUTION.columns), *rows]) + "\n"
    path = folder / "criteo_attribution_dataset.tsv.gz"
    path.write_bytes(gzip.compress(text.encode()))
    return path


def shorter(name: str, days: int) -> Contract:
    return load_contract(name).model_copy(update={"attribution_window_days": days})


def test_attribution_by_hand(tmp_path: Path) -> None:
    write_attribution(
        tmp_path,
        attribution_row(uid=1, click=0, conversion=1, conversion_timestamp=50),
        attribution_row(uid=2, timestamp=90_000, time_since_last_click=12),
        attribution_row(
            uid=3, timestamp=100, conversion=1, conversion_timestamp=100 + 3 * DAY, attribution=1
        ),
        attribution_row(uid=4, timestamp=200, conversion=1, conversion_timestamp=260),
        attribution_row(uid=5, timestamp=40 * DAY),
    )
    source = open_adapter("criteo_attribution", tmp_path, JANUARY, {})
    assert outcomes(source, "uid", "timestamp") == [
        ("2", EPOCH + 90_000, "conversion", 0, -1),
        ("2", EPOCH + 90_000, "attributed", 0, -1),
        ("3", EPOCH + 100, "conversion", 1, EPOCH + 100 + 3 * DAY),
        ("3", EPOCH + 100, "attributed", 1, EPOCH + 100 + 3 * DAY),
        ("4", EPOCH + 200, "conversion", 1, EPOCH + 260),
        ("4", EPOCH + 200, "attributed", 0, -1),
    ]
    first = examples(source)[0]
    assert first["hour"] == "1"
    assert first["weekday"] == "0"
    assert first["time_since_last_click"] == 12.0
    assert first["cost"] == 0.25
    assert examples(source)[2]["time_since_last_click"] is None
    assert "click_pos" not in first


def test_attribution_window_is_the_contracts(tmp_path: Path) -> None:
    write_attribution(
        tmp_path,
        attribution_row(uid=3, conversion=1, conversion_timestamp=3 * DAY),
        attribution_row(uid=4, conversion=1, conversion_timestamp=3 * DAY + 1),
    )
    contract = shorter("criteo_attribution", 3)
    source = open_adapter("criteo_attribution", tmp_path, JANUARY, {}, contract)
    assert [row[2] for row in outcomes(source, "uid")] == [1, 0, 0, 0]
    whole = open_adapter("criteo_attribution", tmp_path, JANUARY, {})
    assert source.fingerprint() != whole.fingerprint()


def test_attribution_epoch_moves_all_times(tmp_path: Path) -> None:
    write_attribution(tmp_path, attribution_row(conversion=1, conversion_timestamp=5))
    march = Window(date(2020, 3, 1), date(2020, 3, 2))
    source = open_adapter("criteo_attribution", tmp_path, march, {"epoch": "2020-03-01"})
    assert outcomes(source, "timestamp")[0] == (1583020800, "conversion", 1, 1583020805)
    assert examples(open_adapter("criteo_attribution", tmp_path, march, {})) == []


def test_attribution_fingerprint_follows_the_file(tmp_path: Path) -> None:
    write_attribution(tmp_path, attribution_row())
    source = open_adapter("criteo_attribution", tmp_path, JANUARY, {})
    before = source.fingerprint()
    assert source.fingerprint() == before
    write_attribution(tmp_path, attribution_row(), attribution_row(uid=9))
    assert source.fingerprint() != before


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (attribution_row(timestamp="1e3"), "line 3: column 'timestamp': '1e3'; wanted an integer"),
        (attribution_row(click="yes"), "line 3: column 'click': 'yes'; wanted 0 or 1"),
        (attribution_row(cost="0,2"), "line 3: column 'cost': '0,2'; wanted a number"),
        ("1\t2\t3", "Expected 22 columns, got 3"),
    ],
)
def test_attribution_broken_rows(tmp_path: Path, row: str, message: str) -> None:
    path = write_attribution(tmp_path, attribution_row(), row)
    with pytest.raises(InputError, match=rf"{path.name}: .*{message}"):
        examples(open_adapter("criteo_attribution", tmp_path, JANUARY, {}))


def test_attribution_without_a_column(tmp_path: Path) -> None:
    path = tmp_path / "criteo_attribution_dataset.tsv"
    path.write_text("timestamp\tuid\n0\t1\n")
    with pytest.raises(InputError, match="line 1: no column 'campaign' in the header"):
        examples(open_adapter("criteo_attribution", tmp_path, JANUARY, {}))


AUTUMN = Window(date(2020, 8, 1), date(2020, 10, 1))
CLICK = 1_598_891_820


def search_row(**values: Any) -> str:
    row = dict.fromkeys(SEARCH.columns, "AB12") | {
        "Sale": "0",
        "SalesAmountInEuro": "-1",
        "time_delay_for_conversion": "-1",
        "click_timestamp": str(CLICK),
        "nb_clicks_1week": "-1",
        "product_price": "0.0",
        "product_brand": "-1",
    }
    return "\t".join(str((row | values)[name]) for name in SEARCH.columns)


def test_search_by_hand(tmp_path: Path) -> None:
    rows = [
        search_row(user_id="A", nb_clicks_1week=40),
        search_row(user_id="B", Sale=1, time_delay_for_conversion=600, product_price=9.5),
        search_row(user_id="C", Sale=1),
        search_row(user_id="D", click_timestamp=0),
        search_row(user_id="E", Sale=1, time_delay_for_conversion=30 * DAY + 1),
        search_row(user_id="F", click_timestamp=CLICK + 60 * DAY),
    ]
    (tmp_path / "CriteoSearchData").write_text("\n".join(rows) + "\n")
    source = open_adapter("criteo_search", tmp_path, AUTUMN, {})
    assert outcomes(source, "user_id", "timestamp") == [
        ("A", CLICK, "sale", 0, -1),
        ("B", CLICK, "sale", 1, CLICK + 600),
        ("C", CLICK, "sale", 1, CLICK + 30 * DAY),
        ("E", CLICK, "sale", 0, -1),
    ]
    first = examples(source)[0]
    assert first["nb_clicks_1week"] == 40.0
    assert first["product_brand"] is None
    assert first["partner_id"] == "AB12"
    # 2020-08-31 16:37 UTC, a Monday.
    assert (first["hour"], first["weekday"]) == ("16", "0")
    assert "product_price" not in first


def test_search_broken_row(tmp_path: Path) -> None:
    (tmp_path / "CriteoSearchData").write_text(f"{search_row()}\n{search_row(Sale='?')}\n")
    with pytest.raises(InputError, match="CriteoSearchData: line 2: column 'Sale': '\\?'; wanted"):
        examples(open_adapter("criteo_search", tmp_path, AUTUMN, {}))


def private_table(n: int = 1, **values: list[Any]) -> pa.Table:
    delays = pa.array([None] * n, pa.list_(pa.int32()))
    columns: dict[str, Any] = {
        "id": [f"i{i}" for i in range(n)],
        "user_id": [f"u{i}" for i in range(n)],
        "display_order": pa.array([1] * n, pa.int32()),
        "campaign_id": [11] * n,
        "publisher_id": [22] * n,
        "is_clicked": pa.array([1] * n, pa.int32()),
        "is_click_landed": [0.0] * n,
        "is_visit": pa.array([0] * n, pa.int32()),
        "nb_sales": pa.array([None] * n, pa.int64()),
        "sale_delay_after_display_array": delays,
        "click_delay_after_display_array": delays,
        "landed_click_delay_after_display_array": delays,
        "features_not_available_0": [1.0] * n,
    }
    wanted = load_contract("criteo_private_ad").features.names
    columns |= {name: [1.5] * n for name in wanted if name.startswith("features_")}
    for name, value in values.items():
        kind = pa.list_(pa.int32()) if name.endswith("_array") else None
        columns[name] = pa.array(value, kind)
    return pa.table(columns)


def write_private(folder: Path, day: int, table: pa.Table, name: str = "part-0.parquet") -> Path:
    path = folder / "data" / f"day_int={day}" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return path


TWO_DAYS = Window(date(2017, 1, 2), date(2017, 1, 4))


def test_private_ad_by_hand(tmp_path: Path) -> None:
    write_private(
        tmp_path,
        2,
        private_table(
            4,
            is_clicked=[1, 0, 1, 1],
            is_click_landed=[1.0, 1.0, 1.0, None],
            is_visit=[1, 1, 0, 0],
            nb_sales=[2, 1, None, 1],
            landed_click_delay_after_display_array=[[3, 1], [1], [-4], None],
            sale_delay_after_display_array=[[1500, 20], [1], None, []],
            features_ctx_not_constrained_0=[[4, 5], [1], [], None],
            features_kv_not_constrained_1=[7.0, 1.0, None, 2.5],
            features_browser_bits_constrained_0=[0.5, 1.0, None, float("nan")],
        ),
    )
    write_private(tmp_path, 3, private_table(1))
    source = open_adapter("criteo_private_ad", tmp_path, TWO_DAYS, {})
    assert source.shards() == ("day_int=2/part-0.parquet", "day_int=3/part-0.parquet")
    start = EPOCH + DAY
    rows = examples(source)
    assert outcomes(source, "timestamp") == [
        (start, "landed", 1, start + 60),
        (start, "visit", 1, start + 60),
        (start, "sale", 1, start + 20 * 60),
        (start, "landed", 1, start),
        (start, "visit", 0, -1),
        (start, "sale", 0, -1),
        (start, "landed", 0, -1),
        (start, "visit", 0, -1),
        (start, "sale", 1, start + 30 * DAY),
        (start + DAY, "landed", 0, -1),
        (start + DAY, "visit", 0, -1),
        (start + DAY, "sale", 0, -1),
    ]
    first_of_each = rows[::3]
    assert [r["features_ctx_not_constrained_0"] for r in first_of_each] == ["4,5", "", None, "1.5"]
    assert [r["features_kv_not_constrained_1"] for r in first_of_each] == ["7", None, "2.5", "1.5"]
    assert [r["features_browser_bits_constrained_0"] for r in first_of_each] == [
        0.5,
        None,
        None,
        1.5,
    ]
    assert rows[0]["campaign_id"] == "11"
    assert "features_not_available_0" not in rows[0]


def test_private_ad_skips_the_copy_of_day_three(tmp_path: Path) -> None:
    window = Window(date(2017, 1, 3), date(2017, 1, 4))
    copy = "part-00000-d0cfd34a-794e-4f02-a177-a96d3f9483cf-c000.gz.parquet"
    write_private(tmp_path, 3, private_table(1))
    write_private(tmp_path, 3, private_table(1), copy)
    plain = open_adapter("criteo_private_ad", tmp_path, window, {})
    assert plain.shards() == ("day_int=3/part-0.parquet",)
    both = open_adapter("criteo_private_ad", tmp_path, window, {"skip_files": []})
    assert len(both.shards()) == 2


def test_private_ad_missing_day(tmp_path: Path) -> None:
    write_private(tmp_path, 2, private_table(1))
    source = open_adapter("criteo_private_ad", tmp_path, TWO_DAYS, {})
    with pytest.raises(InputError, match="day_int=3: no Parquet file for 2017-01-03; wanted"):
        source.shards()


def test_private_ad_broken_files(tmp_path: Path) -> None:
    one = Window(date(2017, 1, 2), date(2017, 1, 3))
    source = open_adapter("criteo_private_ad", tmp_path, one, {})
    write_private(tmp_path, 2, private_table(1).drop(["is_visit"]))
    with pytest.raises(InputError, match=r"part-0\.parquet: column is_visit is missing"):
        examples(source)
    write_private(tmp_path, 2, private_table(1, nb_sales=["two"]))
    with pytest.raises(InputError, match=r"column 'nb_sales': seen type string; wanted a number"):
        examples(source)
    (tmp_path / "data" / "day_int=2" / "part-0.parquet").write_bytes(b"not parquet at all")
    with pytest.raises(InputError, match=r"part-0\.parquet: not a Parquet file"):
        examples(source)


def test_private_ad_delays_of_another_type(tmp_path: Path) -> None:
    one = Window(date(2017, 1, 2), date(2017, 1, 3))
    table = private_table(1)
    for name in DELAYS.values():
        at = table.column_names.index(name)
        write_private(tmp_path, 2, table.set_column(at, name, pa.array([7])))
        with pytest.raises(InputError, match=r"part-0\.parquet: .*wanted a Parquet file of the "):
            examples(open_adapter("criteo_private_ad", tmp_path, one, {}))
