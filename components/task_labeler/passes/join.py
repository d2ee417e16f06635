"""Finds the history rows of each shard's clicks, for histories too large to give to everyone.

Only the distinct (setup, day) pairs of a shard travel to the setups' buckets, and only their
history rows travel back; clicks stay where they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from common.days import SECONDS_PER_DAY
from common.files.gfile import read_parquet
from components.task_labeler.decide.assign import HISTORY_SCHEMA
from components.task_labeler.passes.buckets import Shard, split_by_bucket
from components.task_labeler.passes.clicks import ClickLog, ClickReader
from components.task_labeler.passes.label import HistoryLookup

PAIRS = ("setup_id", "day")


class ShardPairs(beam.DoFn):
    """Shard -> (bucket, (shard, distinct setups and days)), at most one element a bucket."""

    def __init__(self, log: ClickLog, buckets: int) -> None:
        self._log, self._buckets = log, buckets

    def setup(self) -> None:
        self._reader = ClickReader(self._log.contract, self._log.end)

    def process(self, shard: Shard) -> Iterator[tuple[int, tuple[Shard, pa.Table]]]:
        of_batches = [_distinct(keys) for keys in self._reader.keys(shard[1])]
        if not of_batches:
            return
        pairs = pa.concat_tables(of_batches).group_by(list(PAIRS)).aggregate([]).select(list(PAIRS))
        for bucket, part in split_by_bucket(pairs, self._buckets):
            yield bucket, (shard, part)


class BucketRows(beam.DoFn):
    """(bucket, its pairs by shard) -> (shard, rows of the history)."""

    def __init__(self, history: str) -> None:
        """
        Args:
          history: path of a bucket's history, with a format field for its number.
        """
        self._history = history

    def process(
        self, element: tuple[int, Iterable[tuple[Shard, pa.Table]]]
    ) -> Iterator[tuple[Shard, pa.Table]]:
        bucket, wanted = element
        history = read_parquet(self._history.format(bucket))
        lookup = HistoryLookup(history)
        for shard, pairs in wanted:
            setups, days = pairs["setup_id"].combine_chunks(), pairs["day"].to_numpy()
            yield shard, history.take(pa.array(lookup.rows(setups, days)))


def rows_of_shards(
    pipeline: beam.Pipeline, log: ClickLog, buckets: int, history: str
) -> beam.PCollection[tuple[Shard, pa.Table]]:
    """Each shard with the history rows (`HISTORY_SCHEMA`) of its clicks, sorted; shards without
    clicks are left out.

    Args:
      history: path of a bucket's history, with a format field for its number.
    """
    return (
        pipeline
        | "Shards" >> beam.Create(log.shards)
        | "ShardPairs" >> beam.ParDo(ShardPairs(log, buckets))
        | "PairsByBucket" >> beam.GroupByKey()
        | "BucketRows" >> beam.ParDo(BucketRows(history))
        | "RowsByShard" >> beam.GroupByKey()
        | "ShardRows" >> beam.MapTuple(lambda shard, tables: (shard, _whole(tables)))
    )


def _distinct(keys: pa.RecordBatch) -> pa.Table:
    day = keys.column("click_time").to_numpy() // SECONDS_PER_DAY
    pairs = pa.table([keys.column("setup_id"), day.astype(np.int64)], list(PAIRS))
    return pairs.group_by(list(PAIRS)).aggregate([]).select(list(PAIRS))


def _whole(tables: Iterable[pa.Table]) -> pa.Table:
    rows = pa.concat_tables([HISTORY_SCHEMA.empty_table(), *tables])
    return rows.take(pc.sort_indices(rows, [("setup_id", "ascending"), ("day", "ascending")]))
