"""Key columns of clicks beside the shard that holds their records.

Labelling needs a handful of columns of every click. ExampleGen has them at hand when it encodes a
shard, and keeps them as Parquet, so that nobody has to parse the records for them:

    <artifact>/Split-log/data_tfrecord-00000-of-00112.gz
    <artifact>/keys/Split-log/data_tfrecord-00000-of-00112.parquet    row i for record i
"""

from __future__ import annotations

from pathlib import PurePath

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import tensorflow as tf

from components.common.files import write_parquet
from schemas.contract import Contract

MISSING = -1
"""Stands for an integer that the record does not have."""


def key_columns(contract: Contract) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the string and of the integer key columns."""
    roles = contract.roles
    strings = (*roles.setup, roles.conversion_category, roles.advertiser_type)
    return tuple(dict.fromkeys(c for c in strings if c)), contract.int_columns


def keys_path(shard: str) -> str:
    """Where a shard's key columns lie."""
    scheme, mark, place = shard.rpartition("://")
    path = PurePath(place)
    beside = path.parent.parent / "keys" / path.parent.name / f"{path.stem}.parquet"
    return f"{scheme}{mark}{beside}"


class KeyWriter:
    """Collects the key columns of one shard's records and writes them when it is closed."""

    def __init__(self, shard: str, contract: Contract) -> None:
        self._path = keys_path(shard)
        strings, ints = key_columns(contract)
        self._schema = pa.schema(
            [(c, pa.string()) for c in strings] + [(c, pa.int64()) for c in ints]
        )
        self._parts: list[pa.Table] = []

    def write(self, batch: pa.RecordBatch) -> None:
        """Takes the key columns of a batch that holds at least these."""
        if batch.num_rows:
            columns = [batch.column(name) for name in self._schema.names]
            self._parts.append(pa.table(columns, self._schema))

    def close(self) -> None:
        if self._parts:
            tf.io.gfile.makedirs(str(self._path.rpartition("/")[0]))
            write_parquet(pa.concat_tables(self._parts), self._path)


def read_keys(shard: str, contract: Contract) -> pa.Table | None:
    """The key columns of a shard, nulls filled as a parser of its records would; None where they
    were not kept, or not all that the contract now needs."""
    path = keys_path(shard)
    if not tf.io.gfile.exists(path):
        return None
    strings, ints = key_columns(contract)
    with tf.io.gfile.GFile(path, "rb") as file:
        whole = pq.ParquetFile(pa.BufferReader(file.read()))
    if not {*strings, *ints} <= set(whole.schema_arrow.names):
        return None
    found = whole.read([*strings, *ints])
    filled = [pc.fill_null(found[c], "") for c in strings]
    filled += [pc.fill_null(found[c], MISSING) for c in ints]
    return pa.table(filled, [*strings, *ints])
