"""Key columns kept beside a shard: the same as a parser finds in its records."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from components.common.click_keys import KeyWriter, keys_path, read_keys
from components.common.tfrecords import ShardWriter, shard_files
from components.example_gen.encode import Encoder
from components.example_gen.shard import ingest_shard
from components.example_gen.source import Window
from components.task_labeler.clicks import ClickReader
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
        "features": {"numeric": [{"name": "price"}]},
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


def write(folder: Path, keys: pa.RecordBatch | None = BATCH) -> str:
    writer = ShardWriter(str(folder / "Split-log"), 0, 1)
    writer.write(Encoder().encode(BATCH))
    writer.close()
    if keys is not None:
        beside = KeyWriter(writer.path, CONTRACT)
        beside.write(keys)
        beside.close()
    return writer.path


def read(path: str) -> tuple[list[bytes], pa.Table]:
    batches = list(ClickReader(CONTRACT, AS_OF).read(path))
    return [r for records, _ in batches for r in records], pa.Table.from_batches(
        [keys for _, keys in batches]
    )


def test_kept_keys_are_those_of_the_records(tmp_path: Path) -> None:
    kept, parsed = write(tmp_path / "kept"), write(tmp_path / "parsed", keys=None)
    assert read_keys(kept, CONTRACT) is not None
    assert read_keys(parsed, CONTRACT) is None
    assert read(kept)[1] == read(parsed)[1]
    reader = ClickReader(CONTRACT, AS_OF)
    assert pa.Table.from_batches(reader.keys(kept)) == read(parsed)[1]
    assert reader.counts(kept) == reader.counts(parsed)


def test_what_the_keys_are(tmp_path: Path) -> None:
    found = read(write(tmp_path))[1].to_pydict()
    assert found["setup_id"] == ["a\\|b|buy", "c\\\\|buy", "ü|visit"]
    assert found["category"] == ["sale", "", "sale"]
    # The last conversion happens on the as-of moment, not before it.
    assert found["conversion_time"] == [999_000_060, -1, -1]


@pytest.mark.parametrize("rows", [1, 2])
def test_keys_of_another_shard_are_refused(tmp_path: Path, rows: int) -> None:
    path = write(tmp_path, keys=BATCH.slice(0, rows))
    with pytest.raises(InputError, match=f"holds 3 records, and {rows} rows of keys"):
        read(path)


def test_keys_without_a_column_that_is_wanted_now_are_left_alone(tmp_path: Path) -> None:
    path = write(tmp_path)
    roles = CONTRACT.roles.model_copy(update={"advertiser_type": "vertical"})
    assert read_keys(path, CONTRACT.model_copy(update={"roles": roles})) is None


@pytest.mark.parametrize("root", ["/a/b", "gs://bucket/b"])
def test_keys_lie_outside_the_split(root: str) -> None:
    found = keys_path(f"{root}/Split-log/data_tfrecord-00001-of-00002.gz")
    assert found == f"{root}/keys/Split-log/data_tfrecord-00001-of-00002.parquet"


class OneBatch:
    """A source of one shard."""

    def shards(self) -> tuple[str, ...]:
        return ("only",)

    def fingerprint(self) -> str:
        return "1"

    def read(self, shard: str) -> Iterator[pa.RecordBatch]:
        yield BATCH


def test_ingest_keeps_the_keys_of_the_rows_it_wrote(tmp_path: Path) -> None:
    """The third click lies outside the window."""
    window = Window(date(2001, 8, 28), date(2001, 8, 30))
    ingest_shard(
        OneBatch(), "only", 0, 1, CONTRACT, window, str(tmp_path / "Split-log"), str(tmp_path)
    )
    path = shard_files(str(tmp_path / "Split-log"))[0]
    keys = read_keys(path, CONTRACT)
    assert keys is not None
    assert keys["t"].to_pylist() == [999_000_000, 999_100_000]
    assert keys["ct"].to_pylist() == [999_000_060, -1]
    assert read(path)[1].num_rows == 2
