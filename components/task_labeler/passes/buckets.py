"""Units of work: shards of clicks, and buckets of setups, the same on every worker."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

Shard = tuple[int, str]
"""Number and path of a file of tf.Examples."""


def bucket_of(setup_id: str, buckets: int) -> int:
    """The bucket of a setup, in [0, buckets)."""
    return zlib.crc32(setup_id.encode()) % buckets


def split_by_bucket(table: pa.Table, buckets: int) -> Iterator[tuple[int, pa.Table]]:
    """The rows of each bucket by the column `setup_id`, at most one element a bucket."""
    encoded = pa.concat_arrays(table["setup_id"].chunks).dictionary_encode()
    of_setup = [bucket_of(s, buckets) for s in encoded.dictionary.to_pylist()]
    bucket = np.array(of_setup, np.int64)[encoded.indices.to_numpy()]
    for b in np.unique(bucket).tolist():
        yield b, table.filter(pa.array(bucket == b))
