"""Shards of serialized tf.Examples on disk: gzip TFRecord, the format TFX components exchange.

A record of TFRecord is its length (uint64, little endian), the masked CRC-32C of the length, the
bytes, and their masked CRC-32C. Both ways run over whole blocks of bytes: one call a record into
TensorFlow costs more than all else that is done to the record.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from itertools import islice

import google_crc32c
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
_CRC = struct.Struct("<I")
_HEAD = _LENGTH.size + _CRC.size
_MASK_DELTA = 0xA282EAD8
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
    length_at, head, tail = _LENGTH.unpack_from, _HEAD, _CRC.size
    rest = b""
    for block in _inflated(path):
        data = rest + block
        end, start = len(data), 0
        while start + head <= end:
            first = start + head
            last = first + length_at(data, start)[0]
            if last + tail > end:
                break
            yield data[first:last]
            start = last + tail
        rest = data[start:]
    if rest:
        raise InputError(f"{path}: the last record is cut short; wanted a whole TFRecord file")


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

    def write(self, records: Iterable[bytes]) -> None:
        parts = _framed(records)
        if not parts:
            return
        if self._file is None:
            tf.io.gfile.makedirs(self._split_uri)
            self._deflate = isal_zlib.compressobj(LEVEL, wbits=_GZIP)
            self._file = tf.io.gfile.GFile(self.path, "wb")
        self._file.write(self._deflate.compress(b"".join(parts)))
        self.records += len(parts) // 4

    def close(self) -> None:
        if self._file is not None:
            self._file.write(self._deflate.flush())
            self._file.close()
            self._file = None


def _framed(records: Iterable[bytes]) -> list[bytes]:
    """Four parts a record: length, its check, the record, its check."""
    crc, pack_length, pack_crc = google_crc32c.value, _LENGTH.pack, _CRC.pack
    parts: list[bytes] = []
    for record in records:
        length = pack_length(len(record))
        of_length, of_record = crc(length), crc(record)
        parts += (
            length,
            pack_crc((((of_length >> 15) | (of_length << 17)) + _MASK_DELTA) & 0xFFFFFFFF),
            record,
            pack_crc((((of_record >> 15) | (of_record << 17)) + _MASK_DELTA) & 0xFFFFFFFF),
        )
    return parts
