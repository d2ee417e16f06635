"""The keys of labelled clicks, read from shards of tf.Examples."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import tensorflow as tf

from components.common.click_keys import MISSING, key_columns, read_keys
from components.common.rows import Fault, conversion_times, find_faults
from components.common.tfrecords import read_batches
from components.task_labeler.counts import count_clicks, merge_counts
from schemas.contract import Contract
from schemas.errors import InputError
from schemas.setup_id import setup_ids

KEYS_AT_ONCE = 65_536
"""Rows of key columns that are counted at once."""


class ClickReader:
    """Reads what assignments need of each click and no other column."""

    def __init__(self, contract: Contract, as_of: int) -> None:
        self._contract, self._as_of = contract, as_of
        self._strings, self._ints = key_columns(contract)
        self._spec = {c: tf.io.FixedLenFeature([], tf.string, "") for c in self._strings} | {
            c: tf.io.FixedLenFeature([], tf.int64, MISSING) for c in self._ints
        }

    def read(self, path: str) -> Iterator[tuple[list[bytes], pa.RecordBatch]]:
        """Batches of records beside their key columns, row i of the one being row i of the other.

        Key columns: `setup_id`, `category`, `advertiser_type` (strings), `click_time` and
        `conversion_time` (int64 seconds, -1 where none was observed before the as-of day),
        `label` (int64).

        Raises:
          InputError: the key columns kept beside the shard are not those of its records.
        """
        kept = read_keys(path, self._contract)
        done = 0
        for records in read_batches(path):
            columns = self._parse(records) if kept is None else kept.slice(done, len(records))
            done += len(records)
            if columns.num_rows == len(records):
                yield records, self._keys(columns)
        if kept is not None and kept.num_rows != done:
            raise InputError(
                f"{path}: holds {done} records, and {kept.num_rows} rows of keys lie beside it; "
                "wanted one row a record: run the pipeline without its cache"
            )

    def keys(self, path: str) -> Iterator[pa.RecordBatch]:
        """The key columns of `read`; the records are opened only where no keys were kept."""
        kept = read_keys(path, self._contract)
        if kept is None:
            for records in read_batches(path):
                yield self._keys(self._parse(records))
        else:
            for start in range(0, kept.num_rows, KEYS_AT_ONCE):
                yield self._keys(kept.slice(start, KEYS_AT_ONCE))

    def faults(self, path: str) -> list[tuple[Fault, int]]:
        """Broken rules of the shard's rows, each with the number of rows, for logs whose rows
        no earlier stage has checked."""
        found: dict[tuple[str, str], tuple[Fault, int]] = {}
        for records in read_batches(path):
            for fault in find_faults(self._parse(records), self._contract):
                key = (fault.column, fault.wanted)
                _, rows = found.get(key, (fault, 0))
                found[key] = (fault, rows + int(fault.rows.sum()))
        return list(found.values())

    def counts(self, path: str) -> pa.Table:
        """The shard's counts (`counts.SCHEMA`)."""
        return merge_counts(
            count_clicks(
                keys.column("setup_id"),
                keys.column("category"),
                keys.column("advertiser_type"),
                keys.column("click_time").to_numpy(),
                keys.column("conversion_time").to_numpy(),
            )
            for keys in self.keys(path)
        )

    def _parse(self, records: list[bytes]) -> pa.RecordBatch:
        parsed = tf.io.parse_example(records, self._spec)
        strings = [
            pa.array(parsed[c].numpy(), pa.binary()).cast(pa.string()) for c in self._strings
        ]
        ints = [pa.array(parsed[c].numpy(), pa.int64()) for c in self._ints]
        return pa.RecordBatch.from_arrays([*strings, *ints], [*self._strings, *self._ints])

    def _keys(self, rows: pa.RecordBatch | pa.Table) -> pa.RecordBatch:
        roles = self._contract.roles
        batch = _batch(rows) if isinstance(rows, pa.Table) else rows
        blank = pa.array(np.full(batch.num_rows, ""), pa.string())

        def text(column: str | None) -> pa.Array:
            return blank if column is None else batch.column(column)

        return pa.RecordBatch.from_arrays(
            [
                setup_ids([batch.column(c) for c in roles.setup]),
                text(roles.conversion_category),
                text(roles.advertiser_type),
                batch.column(roles.timestamp),
                pa.array(conversion_times(batch, self._contract, self._as_of)),
                batch.column(roles.label),
            ],
            ["setup_id", "category", "advertiser_type", "click_time", "conversion_time", "label"],
        )


def _batch(rows: pa.Table) -> pa.RecordBatch:
    columns = [
        column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)
        for column in rows.columns
    ]
    return pa.RecordBatch.from_arrays(columns, rows.column_names)
