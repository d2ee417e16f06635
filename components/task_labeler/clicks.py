"""The keys of labelled clicks, read from shards of tf.Examples."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import tensorflow as tf

from components.common.rows import Fault, conversion_times, find_faults
from components.common.tfrecords import read_batches
from components.task_labeler.counts import count_clicks, merge_counts
from schemas.contract import Contract
from schemas.setup_id import setup_ids

MISSING = -1


class ClickReader:
    """Reads what assignments need of each click and no other column."""

    def __init__(self, contract: Contract, as_of: int) -> None:
        roles = contract.roles
        self._contract, self._as_of = contract, as_of
        self._strings = tuple(
            dict.fromkeys(
                c for c in (*roles.setup, roles.conversion_category, roles.advertiser_type) if c
            )
        )
        self._ints = contract.int_columns
        self._spec = {c: tf.io.FixedLenFeature([], tf.string, "") for c in self._strings} | {
            c: tf.io.FixedLenFeature([], tf.int64, MISSING) for c in self._ints
        }

    def read(self, path: str) -> Iterator[tuple[list[bytes], pa.RecordBatch]]:
        """Batches of records beside their key columns, row i of the one being row i of the other.

        Key columns: `setup_id`, `category`, `advertiser_type` (strings), `click_time` and
        `conversion_time` (int64 seconds, -1 where none was observed before the as-of day),
        `label` (int64).
        """
        for records in read_batches(path):
            yield records, self._keys(self._parse(records))

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
            for _, keys in self.read(path)
        )

    def _parse(self, records: list[bytes]) -> pa.RecordBatch:
        parsed = tf.io.parse_example(records, self._spec)
        strings = [
            pa.array(parsed[c].numpy(), pa.binary()).cast(pa.string()) for c in self._strings
        ]
        ints = [pa.array(parsed[c].numpy(), pa.int64()) for c in self._ints]
        return pa.RecordBatch.from_arrays([*strings, *ints], [*self._strings, *self._ints])

    def _keys(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        roles = self._contract.roles
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
