"""Ingest of plain files: what is read, what is refused, and in which words."""

from __future__ import annotations

import gzip
import json
import logging
import os
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from common.clicks.tfrecords import read_batches, shard_files
from components.example_gen.encode import Encoder
from components.example_gen.readers.normalise import normalise
from components.example_gen.readers.plain import open_source
from components.example_gen.readers.source import Window
from components.example_gen.run import ingest
from components.example_gen.settings import IngestSettings
from schemas.contract import Contract
from schemas.errors import InputError

NOON = 1_483_272_000  # 2017-01-01 12:00 UTC
DAY = 86_400
WINDOW = Window(date(2017, 1, 1), date(2017, 1, 3))

ROWS: dict[str, list[Any]] = {
    "time": [NOON, NOON + DAY, NOON + 5],
    "converted": [NOON + 60, None, None],
    "label": [1, 0, 0],
    "advertiser": ["acme", "acme", "bolt"],
    "goal": [7, 7, 8],
    "price": [1.5, None, 2.25],
}


def contract(form: str = "parquet", **changes: Any) -> Contract:
    pattern = {"parquet": "*.parquet", "csv": "*.csv", "tfrecord": "*.tfrecord*"}[form]
    raw: dict[str, Any] = {
        "name": "hand",
        "description": "rows written by hand",
        "input": {"format": form, "pattern": pattern},
        "attribution_window_days": 30,
        "roles": {
            "timestamp": "time",
            "conversion_timestamp": "converted",
            "label": "label",
            "setup": ["advertiser", "goal"],
        },
        "features": {
            "of_setup": False,
            "categorical": [{"name": "advertiser", "buckets": 10}],
            "numeric": [{"name": "price"}],
        },
    }
    return Contract.model_validate(raw | changes)


def write(folder: Path, form: str, rows: dict[str, list[Any]]) -> Path:
    table = pa.table(rows)
    if form == "parquet":
        path = folder / "clicks.parquet"
        pq.write_table(table, path)
    elif form == "csv":
        path = folder / "clicks.csv"
        pyarrow.csv.write_csv(table, path)
    else:
        path = folder / "clicks.tfrecord.gz"
        batch = normalise(table.to_batches()[0], contract(), str(path)).batch
        with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
            for record in Encoder().encode(batch):
                writer.write(record)
    return path


def run(
    folder: Path, terms: Contract, share: float = 0.0, window: Window = WINDOW
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    out = folder / "out"
    (out / "report").mkdir(parents=True)
    report = ingest(
        terms,
        folder,
        window,
        IngestSettings(max_bad_row_share=share),
        str(out / "Split-log"),
        str(out / "report"),
        lambda: beam.Pipeline(runner="DirectRunner"),
    )
    records = [r for f in shard_files(str(out / "Split-log")) for b in read_batches(f) for r in b]
    return [plain(record) for record in records], report


def plain(record: bytes) -> dict[str, Any]:
    features = tf.train.Example.FromString(record).features.feature
    return {
        name: list(getattr(value, value.WhichOneof("kind")).value)
        for name, value in features.items()
        if value.WhichOneof("kind")
    }


@pytest.mark.parametrize("form", ["parquet", "csv", "tfrecord"])
def test_every_format_gives_the_same_examples(tmp_path: Path, form: str) -> None:
    write(tmp_path, form, ROWS)
    examples, report = run(tmp_path, contract(form))
    assert examples[0] == {
        "time": [NOON],
        "label": [1],
        "converted": [NOON + 60],
        "advertiser": [b"acme"],
        "goal": [b"7"],
        "price": [1.5],
    }
    assert examples[1]["converted"] == [-1]
    assert "price" not in examples[1]
    assert len(examples) == report["rows"] == 3
    assert report["rejected"] == report["outside"] == 0


def test_what_is_read_is_told_in_numbers_of_one_and_of_many(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="hardtower")
    first = {name: values[:1] for name, values in ROWS.items()}
    for folder, rows in (("one", first), ("many", {n: v * 1_200 for n, v in first.items()})):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder, "parquet", rows)
        run(tmp_path / folder, contract())
    told = [m for m in caplog.messages if m.startswith("ExampleGen: ")]
    assert [m.split(",")[0] for m in told[::2]] == ["ExampleGen: 1 shard"] * 2
    assert told[1].startswith("ExampleGen: 1 click of ")
    assert told[3].startswith("ExampleGen: 1,200 clicks of ")
    assert all(m.endswith(", 0 rows set aside, 0 outside the window") for m in told[1::2])


def weighted(form: str = "parquet") -> Contract:
    roles = contract().model_dump()["roles"] | {"weight": "importance"}
    return contract(form, roles=roles)


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_weights_are_kept_as_floats(tmp_path: Path, form: str) -> None:
    write(tmp_path, form, changed(importance=[2, 1, 0]))
    examples, _ = run(tmp_path, weighted(form))
    assert [example["importance"] for example in examples] == [[2.0], [1.0], [0.0]]


@pytest.mark.parametrize("weight", [None, -0.5, float("nan"), float("inf"), 1e39])
def test_a_bad_weight_is_named(tmp_path: Path, weight: float | None) -> None:
    path = write(tmp_path, "parquet", changed(importance=[1.0, 2.0, weight]))
    with pytest.raises(InputError) as caught:
        run(tmp_path, weighted())
    for word in [str(path), "row 3", "column importance", "wanted a weight, a finite number of 0"]:
        assert word in str(caught.value)


def changed(**columns: list[Any]) -> dict[str, list[Any]]:
    return ROWS | columns


BAD_ROWS: dict[str, tuple[dict[str, list[Any]], list[str]]] = {
    "label outside 0 and 1": (
        changed(label=[1, 2, 0]),
        ["row 2", "column label", "seen 2", "wanted 0 or 1"],
    ),
    "label null": (changed(label=[1, None, 0]), ["row 2", "column label", "seen None"]),
    "time in milliseconds": (
        changed(time=[NOON * 1000, NOON * 1000 + DAY, NOON * 1000]),
        ["row 1", "column time", f"seen {NOON * 1000}", "milliseconds?", "timestamp_unit"],
    ),
    "time null": (changed(time=[NOON, None, NOON]), ["row 2", "column time", "seen None"]),
    "conversion before its click": (
        changed(converted=[NOON - 1, None, None]),
        ["row 1", "column converted", f"seen {NOON - 1}", "no earlier than the click"],
    ),
    "label 1 without a conversion time": (
        changed(label=[1, 1, 0]),
        ["row 2", "column converted", "seen -1", "where label is 1"],
    ),
    "setup column null": (
        changed(advertiser=["acme", None, "bolt"]),
        ["row 2", "column advertiser", "seen None", "part of the setup"],
    ),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_a_bad_row_is_named(tmp_path: Path, case: str) -> None:
    rows, words = BAD_ROWS[case]
    path = write(tmp_path, "parquet", rows)
    with pytest.raises(InputError) as caught:
        run(tmp_path, contract())
    message = str(caught.value)
    for word in [str(path), *words]:
        assert word in message
    assert "\n" not in message


def test_few_bad_rows_are_set_aside_and_counted(tmp_path: Path) -> None:
    write(tmp_path, "parquet", changed(label=[1, 2, 0], goal=[7, 7, None]))
    examples, report = run(tmp_path, contract(), share=0.7)
    assert [e["advertiser"] for e in examples] == [[b"acme"]]
    assert report["rejected"] == 2
    assert sorted(report["rules"].values()) == [1, 1]
    aside = pq.read_table(tmp_path / "out/report/rejected").to_pylist()
    assert [(row["row"], row["label"]) for row in aside] == [(2, 2), (3, 0)]
    assert json.loads((tmp_path / "out/report/ingest.json").read_text()) == report


def drop(name: str) -> dict[str, list[Any]]:
    return {k: v for k, v in ROWS.items() if k != name}


def strings(name: str) -> dict[str, list[Any]]:
    return changed(**{name: ["x", "y", "z"]})


def save(form: str, rows: dict[str, list[Any]]) -> Callable[[Path], None]:
    return lambda folder: void(write(folder, form, rows))


def void(_: object) -> None:
    return None


def empty_file(name: str) -> Callable[[Path], None]:
    return lambda folder: void((folder / name).write_bytes(b""))


def garbage(name: str) -> Callable[[Path], None]:
    return lambda folder: void((folder / name).write_bytes(b"not what it says" * 9))


BAD_FILES: dict[str, tuple[str, Callable[[Path], None], list[str]]] = {
    "no file": ("parquet", void, ["no file matches", "*.parquet"]),
    "parquet without a column": (
        "parquet",
        save("parquet", drop("goal")),
        ["clicks.parquet", "column goal is missing", "the file has: time"],
    ),
    "csv without a column": (
        "csv",
        save("csv", drop("goal")),
        ["clicks.csv", "column goal is missing"],
    ),
    "tfrecord without a column": (
        "tfrecord",
        save("tfrecord", ROWS),
        ["clicks.tfrecord.gz", "column shop is missing", "the file has:"],
    ),
    "strings where numbers are wanted": (
        "parquet",
        save("parquet", strings("price")),
        ["clicks.parquet", "column price", "seen type string", "wanted a number"],
    ),
    "floats where keys are wanted": (
        "parquet",
        save("parquet", changed(goal=[1.5, 2.5, 3.5])),
        ["clicks.parquet", "column goal", "seen type double", "wanted a string or a whole number"],
    ),
    "csv with text in an integer column": (
        "csv",
        save("csv", strings("label")),
        ["clicks.csv", "column label", "row 1", "seen 'x'", "wanted a whole number"],
    ),
    "parquet without rows": (
        "parquet",
        save("parquet", {k: pa.array([], pa.array(v).type) for k, v in ROWS.items()}),
        ["clicks.parquet", "no row"],
    ),
    "empty csv": ("csv", empty_file("clicks.csv"), ["clicks.csv", "the file is empty"]),
    "not parquet": ("parquet", garbage("x.parquet"), ["x.parquet", "not a Parquet file"]),
    "not tfrecord": ("tfrecord", garbage("x.tfrecord"), ["x.tfrecord", "not a TFRecord file"]),
    "rows of other years only": (
        "parquet",
        save("parquet", changed(time=[NOON - 99 * DAY] * 3, converted=[None] * 3, label=[0] * 3)),
        ["no click between 2017-01-01 and 2017-01-02", "3 rows outside"],
    ),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_named(tmp_path: Path, case: str) -> None:
    form, prepare, words = BAD_FILES[case]
    prepare(tmp_path)
    terms = contract(form)
    if case == "tfrecord without a column":
        roles = terms.roles.model_dump() | {"setup": ("shop",)}
        terms = contract(form, roles=roles)
    with pytest.raises(InputError) as caught:
        run(tmp_path, terms)
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_milliseconds_are_read_as_told(tmp_path: Path) -> None:
    scaled = [None if t is None else t * 1000 + 999 for t in ROWS["converted"]]
    write(tmp_path, "parquet", changed(time=[t * 1000 + 1 for t in ROWS["time"]], converted=scaled))
    examples, _ = run(tmp_path, contract(timestamp_unit="ms"))
    assert [e["time"][0] for e in examples] == ROWS["time"]
    assert [e["converted"][0] for e in examples] == [NOON + 60, -1, -1]


def test_timestamps_and_bools_are_read(tmp_path: Path) -> None:
    table = pa.table(ROWS)
    table = table.set_column(0, "time", table["time"].cast(pa.timestamp("s", tz="UTC")))
    table = table.set_column(2, "label", table["label"].cast(pa.bool_()))
    pq.write_table(table, tmp_path / "x.parquet")
    examples, _ = run(tmp_path, contract())
    assert [e["time"][0] for e in examples] == ROWS["time"]
    assert [e["label"][0] for e in examples] == [1, 0, 0]


def partitioned(tmp_path: Path, days: list[int]) -> Contract:
    for day in days:
        folder = tmp_path / f"dt=2017-01-{day:02d}"
        folder.mkdir()
        rows = changed(time=[NOON + (day - 1) * DAY] * 3, label=[0] * 3, converted=[None] * 3)
        pq.write_table(pa.table(rows), folder / "part.parquet")
    pattern = "dt={YYYY}-{MM}-{DD}/*.parquet"
    return contract(input={"format": "parquet", "pattern": pattern})


def test_only_partitions_of_the_window_are_opened(tmp_path: Path) -> None:
    terms = partitioned(tmp_path, [1, 2, 3, 4])
    window = Window(date(2017, 1, 2), date(2017, 1, 4))
    shards = open_source(terms, tmp_path, window).shards()
    assert [Path(s).parent.name for s in shards] == ["dt=2017-01-02", "dt=2017-01-03"]


def test_a_window_may_begin_before_the_log(tmp_path: Path) -> None:
    terms = partitioned(tmp_path, [3, 4])
    window = Window(date(2016, 12, 20), date(2017, 1, 5))
    examples, _ = run(tmp_path, terms, window=window)
    assert len(examples) == 6


@pytest.mark.parametrize("days", [[1, 2, 4], [1, 2, 3]], ids=["in between", "the last"])
def test_a_missing_partition_is_named(tmp_path: Path, days: list[int]) -> None:
    terms = partitioned(tmp_path, days)
    missing = 3 if 4 in days else 4
    with pytest.raises(InputError, match=f"partition of 2017-01-0{missing} is missing"):
        open_source(terms, tmp_path, Window(date(2017, 1, 1), date(2017, 1, 5))).shards()


def test_the_fingerprint_follows_the_files(tmp_path: Path) -> None:
    path = write(tmp_path, "parquet", ROWS)
    before = open_source(contract(), tmp_path, WINDOW).fingerprint()
    assert open_source(contract(), tmp_path, WINDOW).fingerprint() == before
    pq.write_table(pa.table(changed(label=[0, 0, 0])), path)
    assert open_source(contract(), tmp_path, WINDOW).fingerprint() != before


def test_csv_without_header_and_with_tabs(tmp_path: Path) -> None:
    text = f"{NOON}\t\t0\tacme\t7\t\n{NOON}\t{NOON + 9}\t1\tbolt\t8\t2.5\n"
    (tmp_path / "clicks.csv").write_text(text)
    form = {"format": "csv", "pattern": "*.csv", "csv": {"delimiter": "\t", "columns": list(ROWS)}}
    examples, _ = run(tmp_path, contract("csv", input=form))
    assert [e["goal"] for e in examples] == [[b"7"], [b"8"]]
    assert [e["converted"][0] for e in examples] == [-1, NOON + 9]
    assert "price" not in examples[0]


MANY = 200


def many(column: str, bad: Any, form: str) -> dict[str, list[Any]]:
    """Two hundred sound rows, then the third one's value replaced; text where it is a CSV file."""
    rows: dict[str, list[Any]] = {
        "time": [NOON + i for i in range(MANY)],
        "converted": [NOON + 60 + i if i % 2 else None for i in range(MANY)],
        "label": [i % 2 for i in range(MANY)],
        "advertiser": ["acme"] * MANY,
        "goal": [7] * MANY,
        "price": [1.5] * MANY,
        "cost": [0.25] * MANY,
    }
    if form == "csv":
        rows[column] = [None if v is None else str(v) for v in rows[column]]
    rows[column][2] = bad
    return rows


LATE = NOON + 2 + 31 * DAY

BAD_VALUES: dict[str, tuple[str, str, Any, list[str]]] = {
    "csv word for a label": ("csv", "label", "yes", ["seen 'yes'", "wanted a whole number"]),
    "csv half a label": ("csv", "label", "0.5", ["seen '0.5'", "wanted a whole number"]),
    "csv word for a price": ("csv", "price", "1,5", ["seen '1,5'", "wanted a number"]),
    "csv infinite price": ("csv", "price", "-inf", ["seen -inf", "finite"]),
    "csv date-time": ("csv", "time", "2017-01-01T12:00Z", ["timestamp_unit: iso"]),
    "click time -1": ("parquet", "time", -1, ["seen -1", "between the years 1990 and 2100"]),
    "click time -1, csv": ("csv", "time", "-1", ["seen -1", "between the years 1990 and 2100"]),
    "infinite price": ("parquet", "price", float("inf"), ["seen inf", "finite"]),
    "price beyond float32": ("parquet", "price", 1e39, ["seen 1e+39", "float32"]),
    "spend below 0": ("parquet", "cost", -3.0, ["seen -3.0", "0 or more"]),
    "spend NaN": ("parquet", "cost", float("nan"), ["seen nan", "finite number of 0 or more"]),
    "spend infinite": ("parquet", "cost", float("inf"), ["seen inf", "0 or more"]),
    "label 0 converted in the window": (
        "parquet", "converted", NOON + 99,
        ["column label", "seen 0", f"beside converted {NOON + 99}", "wanted 1"],
    ),
    "conversion in milliseconds": (
        "parquet", "converted", (NOON + 99) * 1000,
        [f"seen {(NOON + 99) * 1000}", f"beside time {NOON + 2}", "the unit of time"],
    ),
    "conversion long ago": (
        "parquet", "converted", NOON // 1000, [f"beside time {NOON + 2}", "the unit of time"],
    ),
    "conversion of -5": ("parquet", "converted", -5, ["seen -5", "-1 or null"]),
}  # fmt: skip


def spending(form: str) -> Contract:
    return contract(form, roles=contract().model_dump()["roles"] | {"spend": "cost"})


@pytest.mark.parametrize("case", BAD_VALUES)
def test_a_bad_value_costs_its_row(tmp_path: Path, case: str) -> None:
    form, column, bad, words = BAD_VALUES[case]
    path = write(tmp_path, form, many(column, bad, form))
    examples, report = run(tmp_path, spending(form), share=0.01)
    assert len(examples) == MANY - 1
    assert report["rejected"] == 1
    (aside,) = pq.read_table(tmp_path / "out/report/rejected").to_pylist()
    assert aside["row"] == 3
    for word in [str(path), "row 3", *words]:
        assert word in report["first_fault"]
    assert report["first_fault"].endswith(aside["fault"])


WRONG_CONVERSIONS: dict[str, tuple[int | None, int, list[str]]] = {
    "after the window": (LATE, 1, [f"seen {LATE} beside time {NOON + 2}", "at most 30 days"]),
    "before the click": (NOON - 9, 1, [f"seen {NOON - 9} beside time {NOON + 2}", "no earlier"]),
    "in milliseconds": (
        (NOON + 99) * 1000, 1,
        [f"seen {(NOON + 99) * 1000} beside time {NOON + 2}", "in the unit of time"],
    ),
    "of a label 0": (NOON + 99, 0, [f"seen 0 beside converted {NOON + 99}", "wanted 1"]),
    "that is missing": (None, 1, ["wanted a time of the conversion where label is 1"]),
}  # fmt: skip


@pytest.mark.parametrize("form", ["parquet", "csv", "tfrecord"])
@pytest.mark.parametrize("case", WRONG_CONVERSIONS)
def test_a_wrong_conversion_is_named_in_every_format(tmp_path: Path, case: str, form: str) -> None:
    """The row is set aside and counted; past the share one line ends the run."""
    conversion, label, words = WRONG_CONVERSIONS[case]
    rows = many("label", label, "parquet")
    rows["converted"][2] = conversion
    few, none = tmp_path / "few", tmp_path / "none"
    for folder in (few, none):
        folder.mkdir()
        path = write(folder, form, rows)
    examples, report = run(few, contract(form), share=0.01)
    assert (len(examples), report["rejected"]) == (MANY - 1, 1)
    with pytest.raises(InputError) as caught:
        run(none, contract(form))
    for word in [f"{path}: row 3, column ", *words]:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_conversion_on_the_last_second_of_the_window_counts(tmp_path: Path) -> None:
    write(tmp_path, "parquet", changed(converted=[NOON + 30 * DAY, None, None]))
    examples, _ = run(tmp_path, contract())
    assert [e["label"] for e in examples] == [[1], [0], [0]]


def test_a_label_0_may_have_a_conversion_after_the_window(tmp_path: Path) -> None:
    write(tmp_path, "parquet", changed(converted=[NOON + 60, NOON + 40 * DAY, None]))
    examples, _ = run(tmp_path, contract())
    assert [e["label"] for e in examples] == [[1], [0], [0]]


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_nan_stands_for_none_where_floats_hold_times(tmp_path: Path, form: str) -> None:
    path = write(tmp_path, "parquet", ROWS)
    nan = float("nan")
    table = pa.table(changed(converted=[NOON + 60.0, nan, nan], price=[1.5, nan, 2.25]))
    path.unlink()
    if form == "parquet":
        pq.write_table(table, path)
    else:
        pyarrow.csv.write_csv(table, tmp_path / "clicks.csv")
    examples, report = run(tmp_path, contract(form))
    assert [e["converted"] for e in examples] == [[NOON + 60], [-1], [-1]]
    assert "price" not in examples[1]
    assert report["rejected"] == 0


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_iso_date_times_are_read_with_their_zone(tmp_path: Path, form: str) -> None:
    times = ["2017-01-01T12:00:00Z", "2017-01-02 14:00:00.75+02:00", "2017-01-01T12:00:05+00:00"]
    write(tmp_path, form, changed(time=times, converted=["2017-01-01T12:01:00Z", None, None]))
    examples, _ = run(tmp_path, contract(form, timestamp_unit="iso"))
    assert [e["time"][0] for e in examples] == ROWS["time"]
    assert [e["converted"][0] for e in examples] == [NOON + 60, -1, -1]


@pytest.mark.parametrize("time", ["2017-01-01T12:00:00", "2017-01-01", "2017-13-01T12:00:00Z"])
def test_a_date_time_that_is_none_or_has_no_zone_is_named(tmp_path: Path, time: str) -> None:
    write(
        tmp_path,
        "csv",
        changed(time=[time, *["2017-01-01T12:00:00Z"] * 2], converted=[None] * 3, label=[0] * 3),
    )
    with pytest.raises(InputError, match=rf"row 1, column time: seen '{time}', wanted .* its zone"):
        run(tmp_path, contract("csv", timestamp_unit="iso"))


def test_text_that_is_not_utf_8_costs_its_row(tmp_path: Path) -> None:
    table = pa.table(changed(advertiser=pa.array([b"acme", b"caf\xe9", b"bolt"], pa.binary())))
    pq.write_table(table, tmp_path / "x.parquet")
    examples, report = run(tmp_path, contract(), share=0.5)
    assert [e["advertiser"] for e in examples] == [[b"acme"], [b"bolt"]]
    assert r"row 2, column advertiser: seen b'caf\xe9', wanted" in report["first_fault"]


def twice(folder: Path, form: str, column: str) -> None:
    table = pa.table(ROWS)
    both = pa.Table.from_arrays([*table.columns, table[column]], [*table.schema.names, column])
    if form == "parquet":
        pq.write_table(both, folder / "clicks.parquet")
    else:
        pyarrow.csv.write_csv(both, folder / "clicks.csv")


@pytest.mark.parametrize("form", ["parquet", "csv"])
@pytest.mark.parametrize("column", ["time", "advertiser", "price"])
def test_a_column_that_is_there_twice_is_named(tmp_path: Path, form: str, column: str) -> None:
    twice(tmp_path, form, column)
    with pytest.raises(InputError, match=f"clicks.{form}: column {column} is there more than once"):
        run(tmp_path, contract(form))


def csv_text(rows: dict[str, list[Any]]) -> str:
    sink = pa.BufferOutputStream()
    pyarrow.csv.write_csv(pa.table(rows), sink)
    return str(sink.getvalue().to_pybytes(), "utf-8")


HEADS: dict[str, tuple[str, str, bytes, str]] = {
    "UTF-16": ("csv", "a.csv", csv_text(ROWS).encode("utf-16"), "UTF-16"),
    "UTF-16 without a mark": ("csv", "a.csv", csv_text(ROWS).encode("utf-16-le"), "UTF-16"),
    "a NUL": ("csv", "a.csv", csv_text(ROWS).replace("bolt", "b\0").encode(), "a NUL at byte"),
    "gzip named .csv": ("csv", "a.csv", gzip.compress(csv_text(ROWS).encode()), "content is gzip"),
    "text named .gz": ("csv", "a.csv.gz", csv_text(ROWS).encode(), "content is not gzip"),
    "gzip cut short": ("csv", "a.csv.gz", gzip.compress(csv_text(ROWS).encode())[:40], "a.csv.gz"),
    "records named .gz": ("tfrecord", "a.tfrecord.gz", b"\0" * 99, "content is not gzip"),
    "gzip named .tfrecord": ("tfrecord", "a.tfrecord", gzip.compress(b"x"), "content is gzip"),
    "Parquet named .csv": ("csv", "a.csv", b"PAR1" * 9, "content is Parquet"),
    "one long line": ("csv", "a.csv", b"x" * 200_000, "wanted the columns' names"),
}


@pytest.mark.parametrize("case", HEADS)
def test_a_file_that_is_not_what_its_name_says_is_named(tmp_path: Path, case: str) -> None:
    form, name, content, words = HEADS[case]
    (tmp_path / name).write_bytes(content)
    pattern = {"csv": "*.csv*", "tfrecord": "*.tfrecord*"}[form]
    terms = contract(form, input={"format": form, "pattern": pattern})
    with pytest.raises(InputError, match=words) as caught:
        run(tmp_path, terms)
    assert name in str(caught.value)


def test_damaged_pages_are_named_by_their_file(tmp_path: Path) -> None:
    path = write(tmp_path, "parquet", many("price", 1.0, "parquet"))
    damaged = bytearray(path.read_bytes())
    for place in range(8, 300):
        damaged[place] ^= 0xFF
    path.write_bytes(bytes(damaged))
    with pytest.raises(InputError, match=r"clicks\.parquet: damaged: [^\n]*$"):
        run(tmp_path, spending("parquet"))


def test_a_part_without_rows_may_lie_beside_another(tmp_path: Path) -> None:
    table = pa.table(ROWS)
    pq.write_table(table, tmp_path / "a.parquet")
    pq.write_table(table.slice(0, 0), tmp_path / "b.parquet")
    examples, _ = run(tmp_path, contract())
    assert len(examples) == 3


HEADER = "time,converted,label,advertiser,goal,price\n"


def test_files_of_a_header_alone_are_counted_and_refused_where_there_are_no_others(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.csv").write_text(HEADER)
    (tmp_path / "b.csv").write_text(HEADER)
    with pytest.raises(InputError, match=r"no row in any of 2 files of '\*\.csv'"):
        run(tmp_path, contract("csv"))
    (tmp_path / "c.csv").write_text(csv_text(ROWS))
    shutil.rmtree(tmp_path / "out")
    examples, report = run(tmp_path, contract("csv"))
    assert (len(examples), report["shards"], report["empty"]) == (3, 3, 2)


def test_labels_that_no_row_has_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warned: list[str] = []
    logger = logging.getLogger("hardtower")
    monkeypatch.setattr(logger, "warning", lambda text, *values: warned.append(text % values))
    write(tmp_path, "csv", changed(label=["yes", "no", "maybe"]))

    def told(*positive: str) -> list[dict[str, Any]]:
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        roles = contract().model_dump()["roles"] | {"conversion_timestamp": None}
        examples, report = run(tmp_path, contract("csv", positive_labels=positive, roles=roles))
        assert report["labels"] == {"yes": 1, "no": 1, "maybe": 1}
        return examples

    wanted = "positive_labels: no row has 'Yes' in column label; labels seen: 'yes', 'no', 'maybe'"
    with pytest.raises(InputError, match=wanted):
        told("Yes")
    # Said before what it brings about: rows of a conversion time whose label is 0.
    write(tmp_path, "csv", changed(label=["yes", "no", "no"]))
    shutil.rmtree(tmp_path / "out")
    with pytest.raises(InputError, match="positive_labels: no row has 'Yes' in column label"):
        run(tmp_path, contract("csv", positive_labels=("Yes",)))
    write(tmp_path, "csv", changed(label=["yes", "no", "maybe"]))
    assert [e["label"] for e in told("yes", "Maybe")] == [[1], [0], [0]]
    assert "no row has 'Maybe' in column label; labels seen: 'no', 'maybe'" in warned[0]


def test_columns_that_the_contract_does_not_name_are_left_unread(tmp_path: Path) -> None:
    notes = ["1"] * (MANY - 1) + ['first "line"\nsecond ' * 90_000]
    path = write(tmp_path, "csv", many("price", "1.5", "csv") | {"notes": notes})
    assert path.stat().st_size > 1 << 20
    examples, report = run(tmp_path, spending("csv"))
    assert len(examples) == MANY
    assert report["rejected"] == 0


@pytest.mark.parametrize("name", ["ads [eu] v1", "what?", "a*b", "[!x]"])
def test_the_root_is_a_folder_and_no_pattern(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    write(folder, "parquet", ROWS)
    assert len(open_source(contract(), folder, WINDOW).shards()) == 1


NO_FILES: dict[str, tuple[Callable[[Path], None], str]] = {
    "a link to nothing": (lambda path: path.symlink_to("gone.csv"), "a link to gone.csv"),
    "a pipe": (os.mkfifo, "a pipe, a socket or a device"),
    "a folder": (Path.mkdir, "a folder"),
}


@pytest.mark.parametrize("case", NO_FILES)
def test_what_matches_and_is_no_file_is_named(tmp_path: Path, case: str) -> None:
    make, seen = NO_FILES[case]
    write(tmp_path, "csv", ROWS)
    make(tmp_path / "more.csv")
    with pytest.raises(InputError, match=rf"more\.csv: {seen}.*; wanted a file of the log"):
        open_source(contract("csv"), tmp_path, WINDOW).shards()


def test_folders_on_the_way_of_a_pattern_are_no_files(tmp_path: Path) -> None:
    below = tmp_path / "day.csv"
    below.mkdir()
    path = write(below, "csv", ROWS)
    terms = contract("csv", input={"format": "csv", "pattern": "**/*.csv"})
    assert open_source(terms, tmp_path, WINDOW).shards() == (str(path),)


def test_times_in_float32_are_refused(tmp_path: Path) -> None:
    table = pa.table(ROWS)
    rounded = table["time"].cast(pa.float64()).cast(pa.float32(), safe=False)
    pq.write_table(table.set_column(0, "time", rounded), tmp_path / "x.parquet")
    with pytest.raises(InputError, match=r"column time: seen type float, wanted a whole number"):
        run(tmp_path, contract())
