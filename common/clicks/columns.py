"""Columns of clicks beside the shard that holds their records.

Whoever needs columns of the clicks would have to parse records for them. ExampleGen has the
columns at hand when it encodes a shard, and keeps them as Parquet:

    <artifact>/Split-log/data_tfrecord-00000-of-00112.gz
    <artifact>/columns/Split-log/data_tfrecord-00000-of-00112.parquet    row i for record i
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePath

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import tensorflow as tf

from common.clicks.parquet_shard import ParquetShard
from common.files.arrow import parquet_file
from schemas.contract import Contract

MISSING = -1
"""Stands for an integer that the record does not have."""


def key_columns(contract: Contract) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the string and of the integer columns that labelling needs."""
    roles = contract.roles
    strings = (*roles.setup, roles.conversion_category, roles.advertiser_type)
    return tuple(dict.fromkeys(c for c in strings if c)), contract.int_columns


def columns_path(shard: str) -> str:
    """Where a shard's columns lie."""
    scheme, mark, place = shard.rpartition("://")
    path = PurePath(place)
    beside = path.parent.parent / "columns" / path.parent.name / f"{path.stem}.parquet"
    return f"{scheme}{mark}{beside}"


class ColumnWriter(ParquetShard):
    """Keeps the contract's columns of one shard: strings, int64 and float32, nulls as they are."""

    def __init__(self, shard: str, contract: Contract) -> None:
        super().__init__(columns_path(shard), [contract.roles.timestamp])
        kinds = dict.fromkeys(contract.log_columns, pa.int64())
        kinds |= dict.fromkeys(contract.float_columns, pa.float32())
        kinds |= dict.fromkeys(contract.string_columns, pa.string())
        self._schema = pa.schema(list(kinds.items()))

    def write(self, batch: pa.RecordBatch) -> None:
        """Takes a batch that holds at least the contract's columns."""
        columns = [batch.column(f.name).cast(f.type, safe=False) for f in self._schema]
        super().write(pa.RecordBatch.from_arrays(columns, schema=self._schema))


class KeptColumns:
    """The columns kept beside a shard.

    Attributes:
      rows: rows kept; one a record, unless the files belong to different runs.
    """

    def __init__(self, file: pq.ParquetFile, names: Sequence[str]) -> None:
        self._file, self._names = file, list(names)
        self.rows: int = file.metadata.num_rows

    def range_of(self, name: str) -> tuple[int, int] | None:
        """Least and greatest value of an integer column; None where the file does not say."""
        at = self._file.schema_arrow.get_field_index(name)
        groups = self._file.metadata
        statistics = [
            groups.row_group(i).column(at).statistics for i in range(groups.num_row_groups)
        ]
        if not statistics or any(s is None or not s.has_min_max for s in statistics):
            return None
        return min(s.min for s in statistics), max(s.max for s in statistics)

    def batches(self, size: int) -> Iterator[pa.RecordBatch]:
        """The columns asked for, in that order, at most `size` rows at a time."""
        for batch in self._file.iter_batches(size, columns=self._names):
            yield selected(batch, self._names)


def kept_columns(shard: str, names: Sequence[str]) -> KeptColumns | None:
    """What is kept beside a shard; None where nothing is, or not all the columns named."""
    path = columns_path(shard)
    if not tf.io.gfile.exists(path):
        return None
    with tf.io.gfile.GFile(path, "rb") as file:
        whole = parquet_file(pa.BufferReader(file.read()))
    return KeptColumns(whole, names) if set(names) <= set(whole.schema_arrow.names) else None


def selected(batch: pa.RecordBatch, names: Sequence[str]) -> pa.RecordBatch:
    """Some of a batch's columns."""
    columns = [batch.column(batch.schema.get_field_index(name)) for name in names]
    return pa.RecordBatch.from_arrays(columns, list(names))


def filled_keys(batch: pa.RecordBatch, contract: Contract) -> pa.RecordBatch:
    """The key columns of a batch, nulls filled as a parser of its records would."""
    strings, ints = key_columns(contract)
    keys = selected(batch, [*strings, *ints])
    filled = [pc.fill_null(keys.column(c), "") for c in strings]
    filled += [pc.fill_null(keys.column(c), MISSING) for c in ints]
    return pa.RecordBatch.from_arrays(filled, [*strings, *ints])
