"""Shards of serialized tf.Examples on disk: gzip TFRecord, the format TFX components exchange.

A record of TFRecord is its length (uint64, little endian), the masked CRC-32C of the length, the
bytes, and their masked CRC-32C. Both ways run over whole blocks of bytes: one call a record into
TensorFlow costs more than all else that is done to the record.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import chain, islice

import google_crc32c
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from isal import isal_zlib

from schemas.errors import InputError

BATCH = 8192
"""Records per batch: large enough to hide per-call cost, small enough to stay in cache."""

READ_BYTES = 1 << 20
"""Compressed bytes that are read and inflated at once."""

LEVEL = 1
"""Of gzip, by ISA-L: a quarter of zlib's time at about the same size."""

_LENGTH = struct.Struct("<Q")
_CRC_BYTES = 4
_HEAD_BYTES = _LENGTH.size + _CRC_BYTES
FRAME_BYTES = _HEAD_BYTES + _CRC_BYTES
"""Of a record in a file, beside its content."""

_BETWEEN = np.dtype([("check", "<u4"), ("length", "<u8"), ("length_check", "<u4")])
"""What lies between two records: the check of the first one and the head of the second."""

_MASK_DELTA = np.uint32(0xA282EAD8)
_GZIP = 31
"""zlib's `wbits` of a gzip stream with the widest window."""


def shard_files(split_uri: str) -> tuple[str, ...]:
    """Files of a split, sorted by name; empty when there is none."""
    return tuple(sorted(tf.io.gfile.glob(f"{split_uri}/*.gz")))


def read_batches(path: str, size: int = BATCH) -> Iterator[list[bytes]]:
    """The records of one shard in order, `size` at a time.

    Raises:
      InputError: the file is damaged or cut short; the check is gzip's own CRC of all content.
    """
    records = read_records(path)
    while batch := list(islice(records, size)):
        yield batch


def read_records(path: str) -> Iterator[bytes]:
    """The records of one shard in order; raises as `read_batches`."""
    return chain.from_iterable(_blocks_of_records(path))


def _blocks_of_records(path: str) -> Iterator[list[bytes]]:
    length_at, head, tail = _LENGTH.unpack_from, _HEAD_BYTES, _CRC_BYTES
    rest = b""
    for block in _inflated(path):
        data = rest + block
        whole = []
        end, start = len(data), 0
        while start + head <= end:
            first = start + head
            last = first + length_at(data, start)[0]
            if last + tail > end:
                break
            whole.append(data[first:last])
            start = last + tail
        rest = data[start:]
        yield whole
    if rest:
        raise InputError(f"{path}: the last record is cut short; wanted a whole TFRecord file")


def inflated_bytes(path: str) -> int:
    """Bytes that a gzip file holds; raises as `read_batches`."""
    return sum(map(len, _inflated(path)))


def _inflated(path: str) -> Iterator[bytes]:
    """The content of a gzip file of one or more members, block by block."""
    inflate = isal_zlib.decompressobj(_GZIP)
    with tf.io.gfile.GFile(path, "rb") as file:
        try:
            while data := file.read(READ_BYTES):
                while data:
                    if inflate.eof:
                        inflate = isal_zlib.decompressobj(_GZIP)
                    yield inflate.decompress(data)
                    data = inflate.unused_data
        except isal_zlib.error as error:  # type: ignore[misc]  # its stub names an instance
            raise InputError(f"{path}: not a sound gzip file: {error}") from error
    if not inflate.eof:
        raise InputError(f"{path}: the gzip stream is cut short; wanted a whole file")


class ShardWriter:
    """Writes one shard, created with its first record: a shard of no records leaves no file."""

    def __init__(self, split_uri: str, shard: int, shards: int) -> None:
        self.path = f"{split_uri}/data_tfrecord-{shard:05d}-of-{shards:05d}.gz"
        self.records = 0
        self._split_uri = split_uri
        self._file: tf.io.gfile.GFile | None = None

    def write(self, records: Sequence[bytes]) -> None:
        if not records:
            return
        if self._file is None:
            tf.io.gfile.makedirs(self._split_uri)
            self._deflate = isal_zlib.compressobj(LEVEL, wbits=_GZIP)
            self._file = tf.io.gfile.GFile(self.path, "wb")
        self._file.write(self._deflate.compress(_framed(records)))
        self.records += len(records)

    def close(self) -> None:
        if self._file is not None:
            self._file.write(self._deflate.flush())
            self._file.close()
            self._file = None


def _framed(records: Sequence[bytes]) -> bytes:
    count = len(records)
    lengths, of_record = np.unique(
        np.fromiter(map(len, records), "<u8", count), return_inverse=True
    )
    between = np.zeros(count + 1, _BETWEEN)
    between["check"][1:] = _checks(records)
    between["length"][:-1] = lengths[of_record]
    between["length_check"][:-1] = _checks([n.tobytes() for n in lengths])[of_record]
    framing, size = between.tobytes(), _BETWEEN.itemsize
    parts = [b""] * (2 * count + 1)
    parts[::2] = [framing[i : i + size] for i in range(0, len(framing), size)]
    parts[1::2] = records
    return b"".join(parts)[_CRC_BYTES:-_HEAD_BYTES]


def _checks(parts: Sequence[bytes]) -> npt.NDArray[np.uint32]:
    """The masked CRC-32C of each part."""
    crc = np.fromiter(map(google_crc32c.value, parts), np.uint32, len(parts))
    rotated = np.bitwise_or(crc >> np.uint32(15), crc << np.uint32(17))
    return rotated + _MASK_DELTA
