"""Clicks and their columns, read from shards of tf.Examples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice

import numpy as np
import pyarrow as pa
import tensorflow as tf
from tfx_bsl.coders import example_coder

from common.clicks.columns import (
    MISSING,
    KeptColumns,
    filled_keys,
    kept_columns,
    key_columns,
    selected,
)
from common.clicks.one_valued import single_values
from common.clicks.rows import Fault, conversion_times, find_faults
from common.clicks.tfrecords import BATCH, read_batches, read_records
from common.days import SECONDS_PER_DAY, to_day
from components.task_labeler.decide.counts import (
    count_clicks,
    count_delays,
    merge_counts,
    merge_delays,
)
from components.task_labeler.passes.buckets import Shard
from schemas.contract import Contract
from schemas.errors import InputError
from schemas.setup_id import setup_ids
from schemas.tfmd import log_schema

KEYS_AT_ONCE = 65_536
"""Rows of key columns that are counted at once."""


@dataclass(frozen=True)
class ClickLog:
    """The clicks of a run.

    Attributes:
      files: shards of tf.Examples with the contract's columns.
      as_of: the first day whose events the run must not see.
    """

    files: Sequence[str]
    contract: Contract
    as_of: date

    @property
    def shards(self) -> list[Shard]:
        return list(enumerate(self.files))

    @property
    def end(self) -> int:
        """Where the as-of day begins, seconds since 1970-01-01."""
        return to_day(self.as_of) * SECONDS_PER_DAY


class ClickReader:
    """Reads clicks of the contract, or only what assignments need of them."""

    def __init__(self, contract: Contract, as_of: int) -> None:
        self._contract, self._as_of = contract, as_of
        self._strings, self._ints = key_columns(contract)
        self._spec = {c: tf.io.FixedLenFeature([], tf.string, "") for c in self._strings} | {
            c: tf.io.FixedLenFeature([], tf.int64, MISSING) for c in self._ints
        }

    def kept(self, path: str) -> KeptColumns | None:
        """The contract's columns beside a shard; None where not all are there."""
        return kept_columns(path, self._contract.log_columns)

    def read(
        self, path: str, kept: KeptColumns | None
    ) -> Iterator[tuple[list[bytes], pa.RecordBatch]]:
        """Batches of records beside the contract's columns, row i of the one being row i of the
        other: strings, int64, float32, null where the record has no value.

        Args:
          kept: what `kept` found beside the shard.

        Raises:
          InputError: the columns kept beside the shard are not those of its records.
        """
        if kept is None:
            decoder = example_coder.ExamplesToRecordBatchDecoder(
                log_schema(self._contract).SerializeToString()
            )
            for records in read_batches(path):
                yield records, self._decoded(records, decoder)
            return
        records_of = read_records(path)
        done = 0
        for columns in kept.batches(BATCH):
            records = list(islice(records_of, columns.num_rows))
            done += len(records)
            if len(records) == columns.num_rows:
                yield records, columns
        done += sum(1 for _ in records_of)
        if kept.rows != done:
            raise InputError(
                f"{path}: holds {done} records, and {kept.rows} rows of columns lie beside it; "
                "wanted one row a record: run the pipeline without its cache"
            )

    def span_of(self, kept: KeptColumns) -> tuple[int, int] | None:
        """First and last day of a shard's clicks, days since 1970-01-01, without reading any; None
        where its columns do not say."""
        seconds = kept.range_of(self._contract.roles.timestamp)
        if seconds is None:
            return None
        first, last = seconds
        return first // SECONDS_PER_DAY, last // SECONDS_PER_DAY

    def keys(self, path: str) -> Iterator[pa.RecordBatch]:
        """As `keys_of` for all clicks; records are opened only where no columns were kept."""
        kept = kept_columns(path, (*self._strings, *self._ints))
        if kept is None:
            for records in read_batches(path):
                yield self.keys_of(self._parse(records))
        else:
            for batch in kept.batches(KEYS_AT_ONCE):
                yield self.keys_of(batch)

    def faults(self, path: str) -> list[tuple[Fault, int]]:
        """Broken rules of the shard's rows, each with the number of rows, for logs whose rows
        no earlier stage has checked."""
        counted: dict[tuple[str, str], tuple[Fault, int]] = {}
        for records in read_batches(path):
            for fault in find_faults(self._parse(records), self._contract):
                key = (fault.column, fault.wanted)
                _, rows = counted.get(key, (fault, 0))
                counted[key] = (fault, rows + int(fault.rows.sum()))
        return list(counted.values())

    def counts(self, path: str) -> tuple[pa.Table, pa.Table]:
        """The shard's counts (`counts.SCHEMA`) and delays (`counts.DELAY_SCHEMA`)."""
        counts, delays = [], []
        for keys in self.keys(path):
            category = keys.column("category")
            click_time = keys.column("click_time").to_numpy()
            conversion_time = keys.column("conversion_time").to_numpy()
            counts.append(
                count_clicks(
                    keys.column("setup_id"),
                    category,
                    keys.column("advertiser_type"),
                    click_time,
                    conversion_time,
                )
            )
            window = self._contract.attribution_window_days
            delays.append(count_delays(category, click_time, conversion_time, window))
        return merge_counts(counts), merge_delays(delays)

    def _parse(self, records: list[bytes]) -> pa.RecordBatch:
        parsed = tf.io.parse_example(records, self._spec)
        strings = [
            pa.array(parsed[c].numpy(), pa.binary()).cast(pa.string()) for c in self._strings
        ]
        ints = [pa.array(parsed[c].numpy(), pa.int64()) for c in self._ints]
        return pa.RecordBatch.from_arrays([*strings, *ints], [*self._strings, *self._ints])

    def _decoded(
        self, records: list[bytes], decoder: example_coder.ExamplesToRecordBatchDecoder
    ) -> pa.RecordBatch:
        lists = selected(decoder.DecodeBatch(records), self._contract.log_columns)
        return pa.RecordBatch.from_arrays(
            [_text(single_values(column)) for column in lists.columns], lists.schema.names
        )

    def keys_of(self, columns: pa.RecordBatch) -> pa.RecordBatch:
        """What an assignment needs of clicks.

        Args:
          columns: the contract's columns, or its key columns alone.

        Returns:
          `setup_id`, `category`, `advertiser_type` (strings), `click_time` and `conversion_time`
          (int64 seconds, -1 where none was observed before the as-of day), `label` (int64).
        """
        roles = self._contract.roles
        batch = filled_keys(columns, self._contract)
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


def _text(column: pa.Array) -> pa.Array:
    bytes_ = pa.types.is_large_binary(column.type)
    return column.cast(pa.binary()).cast(pa.string()) if bytes_ else column
