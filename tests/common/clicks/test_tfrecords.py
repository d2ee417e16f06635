"""Shards against TensorFlow's own reader and writer of TFRecords."""

from __future__ import annotations

import gzip
import tempfile
import zlib
from pathlib import Path

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from common.clicks import tfrecords
from common.clicks.tfrecords import ShardWriter, read_batches, shard_files
from schemas.errors import InputError

RECORDS = [b"", b"a", bytes(range(256)) * 40, b"\x00" * 5000]


def shard(folder: Path, *writes: list[bytes]) -> Path:
    writer = ShardWriter(str(folder), 0, 1)
    for records in writes:
        writer.write(records)
    writer.close()
    return Path(writer.path)


def by_tensorflow(path: Path) -> list[bytes]:
    """TensorFlow checks both CRCs of every record."""
    return list(tf.data.TFRecordDataset(str(path), "GZIP").as_numpy_iterator())


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.binary(max_size=200), min_size=1), min_size=1, max_size=4))
def test_tensorflow_reads_what_was_written(writes: list[list[bytes]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        assert by_tensorflow(shard(Path(folder), *writes)) == [r for w in writes for r in w]


@pytest.mark.parametrize("size", [1, 3, 4, 100])
def test_batches_of_what_tensorflow_wrote(tmp_path: Path, size: int) -> None:
    path = str(tmp_path / "x.gz")
    with tf.io.TFRecordWriter(path, tf.io.TFRecordOptions("GZIP")) as writer:
        for record in RECORDS:
            writer.write(record)
    batches = list(read_batches(path, size))
    assert [r for batch in batches for r in batch] == RECORDS
    assert all(len(batch) == size for batch in batches[:-1])


def test_blocks_end_anywhere_in_a_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = shard(tmp_path, RECORDS)
    for size in (1, 7, 64):
        monkeypatch.setattr(tfrecords, "READ_BYTES", size)
        assert [r for batch in read_batches(str(path)) for r in batch] == RECORDS


def test_concatenated_gzip_members_are_one_shard(tmp_path: Path) -> None:
    content = gzip.decompress(shard(tmp_path, RECORDS).read_bytes())
    joined = tmp_path / "joined.gz"
    joined.write_bytes(gzip.compress(content) + gzip.compress(content))
    assert [r for batch in read_batches(str(joined)) for r in batch] == RECORDS * 2


def test_a_shard_of_no_records_leaves_no_file(tmp_path: Path) -> None:
    path = shard(tmp_path, [])
    assert not path.exists()
    assert shard_files(str(tmp_path)) == ()


@pytest.mark.parametrize("kept", [0.4, 0.95])
def test_a_cut_file_is_refused(tmp_path: Path, kept: float) -> None:
    path = shard(tmp_path, RECORDS)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(InputError, match=r"data_tfrecord-00000.*cut short"):
        list(read_batches(str(path)))


def test_a_cut_record_is_refused(tmp_path: Path) -> None:
    path = shard(tmp_path, RECORDS)
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-1]))
    with pytest.raises(InputError, match="last record is cut short"):
        list(read_batches(str(path)))


def test_changed_content_is_refused(tmp_path: Path) -> None:
    path = shard(tmp_path, [b"x" * 50])
    content = gzip.decompress(path.read_bytes())
    other = gzip.compress(content.replace(b"xx", b"xy", 1))
    # The changed content under the check sum of the old one.
    path.write_bytes(other[:-8] + zlib.crc32(content).to_bytes(4, "little") + other[-4:])
    with pytest.raises(InputError, match="not a sound gzip file"):
        list(read_batches(str(path)))


def test_a_file_that_is_not_gzip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(b"no gzip at all")
    with pytest.raises(InputError, match="not a sound gzip file"):
        list(read_batches(str(path)))
