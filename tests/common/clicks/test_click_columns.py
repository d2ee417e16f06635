"""Columns kept beside a shard: the same as a parser finds in its records."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import tensorflow as tf

from common.clicks.columns import ColumnWriter, columns_path, kept_columns
from common.clicks.tfrecords import ShardWriter, shard_files
from components.example_gen.encode import Encoder
from components.example_gen.readers.source import Window
from components.example_gen.shard import ingest_shard
from components.task_labeler.passes.clicks import ClickReader
from schemas.contract import Contract
from schemas.errors import InputError

CONTRACT = Contract.model_validate(
    {
        "name": "keys",
        "description": "clicks with gaps",
        "input": {"format": "parquet", "pattern": "*"},
        "attribution_window_days": 2,
        "roles": {
            "timestamp": "t",
            "conversion_timestamp": "ct",
            "label": "y",
            "setup": ["shop", "goal"],
            "conversion_category": "kind",
        },
        "features": {"of_setup": False, "numeric": [{"name": "price"}]},
    }
)
AS_OF = 1_000_000_000
BATCH = pa.RecordBatch.from_pydict(
    {
        "t": [999_000_000, 999_100_000, 999_200_000],
        "y": [1, 0, 1],
        "ct": pa.array([999_000_060, None, 1_000_000_000]),
        "shop": ["a|b", "c\\", "ü"],
        "goal": ["buy", "buy", "visit"],
        "kind": ["sale", None, "sale"],
        "price": [1.0, None, 2.0],
    }
)


def write(folder: Path, columns: pa.RecordBatch | None = BATCH) -> str:
    writer = ShardWriter(str(folder / "Split-log"), 0, 1)
    writer.write(Encoder().encode(BATCH))
    writer.close()
    if columns is not None:
        beside = ColumnWriter(writer.path, CONTRACT)
        beside.write(columns)
        beside.close()
    return writer.path


def read(path: str) -> tuple[list[bytes], list[dict[str, Any]]]:
    reader = ClickReader(CONTRACT, AS_OF)
    batches = list(reader.read(path, reader.kept(path)))
    rows = [row for _, columns in batches for row in columns.to_pylist()]
    plain = [{k: v.decode() if isinstance(v, bytes) else v for k, v in r.items()} for r in rows]
    return [r for records, _ in batches for r in records], plain


def keys(path: str) -> pa.Table:
    return pa.Table.from_batches(ClickReader(CONTRACT, AS_OF).keys(path))


def test_kept_columns_are_those_of_the_records(tmp_path: Path) -> None:
    kept, parsed = write(tmp_path / "kept"), write(tmp_path / "parsed", columns=None)
    assert kept_columns(kept, CONTRACT.log_columns) is not None
    assert kept_columns(parsed, CONTRACT.log_columns) is None
    assert read(kept)[1] == read(parsed)[1]
    for path in (kept, parsed):
        records, rows = read(path)
        for record, row in zip(records, rows, strict=True):
            time = tf.train.Example.FromString(record).features.feature["t"].int64_list.value
            assert list(time) == [row["t"]]
    assert read(kept)[1] == [{k: row[k] for k in CONTRACT.log_columns} for row in BATCH.to_pylist()]
    assert keys(kept) == keys(parsed)
    reader = ClickReader(CONTRACT, AS_OF)
    assert reader.counts(kept) == reader.counts(parsed)


def test_keys_of_columns_are_those_of_the_shard(tmp_path: Path) -> None:
    for columns in (BATCH, None):
        path = write(tmp_path / str(columns is None), columns)
        reader = ClickReader(CONTRACT, AS_OF)
        read_with = [reader.keys_of(batch) for _, batch in reader.read(path, reader.kept(path))]
        assert pa.Table.from_batches(read_with) == keys(path)


def test_what_the_keys_are(tmp_path: Path) -> None:
    found = keys(write(tmp_path)).to_pydict()
    assert found["setup_id"] == ["a\\|b|buy", "c\\\\|buy", "ü|visit"]
    assert found["category"] == ["sale", "", "sale"]
    # The last conversion happens on the as-of moment, not before it.
    assert found["conversion_time"] == [999_000_060, -1, -1]


def test_the_days_of_a_shard_are_known_from_its_columns(tmp_path: Path) -> None:
    reader = ClickReader(CONTRACT, AS_OF)
    kept = reader.kept(write(tmp_path / "kept"))
    assert kept is not None
    assert (kept.rows, *(reader.span_of(kept) or ())) == (3, 11562, 11564)
    assert reader.kept(write(tmp_path / "parsed", columns=None)) is None


@pytest.mark.parametrize("rows", [1, 2])
def test_columns_of_another_shard_are_refused(tmp_path: Path, rows: int) -> None:
    path = write(tmp_path, columns=BATCH.slice(0, rows))
    with pytest.raises(InputError, match=f"holds 3 records, and {rows} rows of columns"):
        read(path)


def test_columns_without_one_that_is_wanted_now_are_left_alone(tmp_path: Path) -> None:
    path = write(tmp_path)
    roles = CONTRACT.roles.model_copy(update={"advertiser_type": "vertical"})
    wanted = CONTRACT.model_copy(update={"roles": roles}).log_columns
    assert kept_columns(path, wanted) is None


@pytest.mark.parametrize("root", ["/a/b", "gs://bucket/b"])
def test_columns_lie_outside_the_split(root: str) -> None:
    found = columns_path(f"{root}/Split-log/data_tfrecord-00001-of-00002.gz")
    assert found == f"{root}/columns/Split-log/data_tfrecord-00001-of-00002.parquet"


class OneBatch:
    """A source of one shard."""

    def shards(self) -> tuple[str, ...]:
        return ("only",)

    def fingerprint(self) -> str:
        return "1"

    def read(self, shard: str) -> Iterator[pa.RecordBatch]:
        yield BATCH


def test_ingest_keeps_the_columns_of_the_rows_it_wrote(tmp_path: Path) -> None:
    """The third click lies outside the window."""
    window = Window(date(2001, 8, 28), date(2001, 8, 30))
    ingest_shard(
        OneBatch(), "only", 0, 1, CONTRACT, window, str(tmp_path / "Split-log"), str(tmp_path)
    )
    path = shard_files(str(tmp_path / "Split-log"))[0]
    records, rows = read(path)
    assert kept_columns(path, CONTRACT.log_columns) is not None
    assert [row["t"] for row in rows] == [999_000_000, 999_100_000]
    assert [row["ct"] for row in rows] == [999_000_060, -1]
    assert len(records) == 2
