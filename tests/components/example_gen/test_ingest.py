"""Ingest of plain files: what is read, what is refused, and in which words."""

from __future__ import annotations

import json
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
        batch = normalise(table.to_batches()[0], contract(), str(path))
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
        ["clicks.csv", "column label", "Row #2", "'x'", "int64"],
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
        ["no click between 2017-01-01 and 2017-01-02", "3 rows lie outside"],
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
