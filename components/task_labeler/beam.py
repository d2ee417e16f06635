"""The two Beam passes of the task labeller: count and assign, then label.

One element stands for one file shard or one bucket of setups; everything inside it is columnar.
Only sums per setup, day and delay are ever shuffled, never clicks.
"""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.common.days import to_day
from components.common.files import read_parquet, write_parquet, write_text
from components.task_labeler.assign import Context, assign, build_context
from components.task_labeler.calendar import Calendar, Period
from components.task_labeler.clicks import ClickReader
from components.task_labeler.counts import GROUP_KEYS, group_counts, merge_counts
from components.task_labeler.label import Appender, HistoryLookup, label_shard
from components.task_labeler.settings import LabellingSettings
from schemas.contract import Contract

Shard = tuple[int, str]
SplitTotals = Counter[tuple[str, str]]

GROUPS = "groups.parquet"
HISTORY = "history-{:05d}.parquet"
TOTALS = "totals-{:05d}.json"


def bucket_of(setup_id: str, buckets: int) -> int:
    """The bucket of a setup, the same on every worker and in every run."""
    return zlib.crc32(setup_id.encode()) % buckets


def context_of(
    groups: pa.Table, as_of: date, contract: Contract, settings: LabellingSettings
) -> Context:
    """Priors and curves over the days from the log's first click to the as-of day."""
    calendar = Calendar(int(pc.min(groups["day"]).as_py()), to_day(as_of))
    return build_context(groups, calendar, contract.attribution_window_days, settings)


class CountShard(beam.DoFn):
    """Shard -> (bucket, counts of its setups), at most one element a bucket."""

    def __init__(self, contract: Contract, as_of: int, buckets: int) -> None:
        self._contract, self._as_of, self._buckets = contract, as_of, buckets

    def setup(self) -> None:
        self._reader = ClickReader(self._contract, self._as_of)

    def process(self, shard: Shard) -> Iterator[tuple[int, pa.Table]]:
        counts = self._reader.counts(shard[1])
        encoded = counts["setup_id"].combine_chunks().dictionary_encode()
        of_setup = [bucket_of(s, self._buckets) for s in encoded.dictionary.to_pylist()]
        bucket = np.array(of_setup, np.int64)[encoded.indices.to_numpy()]
        for b in np.unique(bucket).tolist():
            yield b, counts.filter(pa.array(bucket == b))


class MergeGroups(beam.CombineFn):
    """Sums group counts."""

    def create_accumulator(self) -> pa.Table:
        return merge_counts([], GROUP_KEYS)

    def add_input(self, total: pa.Table, counts: pa.Table) -> pa.Table:
        return merge_counts([total, counts], GROUP_KEYS)

    def merge_accumulators(self, totals: Iterable[pa.Table]) -> pa.Table:
        return merge_counts(totals, GROUP_KEYS)

    def extract_output(self, total: pa.Table) -> pa.Table:
        return total


class AssignBucket(beam.DoFn):
    """(bucket, merged counts) -> bucket; writes the bucket's history and totals."""

    def __init__(
        self, contract: Contract, as_of: date, settings: LabellingSettings, folder: str
    ) -> None:
        self._contract, self._as_of, self._settings = contract, as_of, settings
        self._folder = folder
        self._context: Context | None = None

    def process(self, element: tuple[int, pa.Table], groups: pa.Table) -> Iterator[int]:
        bucket, counts = element
        if self._context is None:
            self._context = context_of(groups, self._as_of, self._contract, self._settings)
        window = self._contract.attribution_window_days
        history, totals = assign(counts, self._context, window, self._settings)
        write_parquet(history, f"{self._folder}/{HISTORY.format(bucket)}")
        text = json.dumps(
            {"by_day": {k: v.tolist() for k, v in totals.by_day.items()}, "counts": totals.counts}
        )
        write_text(text, f"{self._folder}/{TOTALS.format(bucket)}")
        yield bucket


def assign_pass(
    pipeline: beam.Pipeline,
    shards: Sequence[Shard],
    contract: Contract,
    as_of: date,
    settings: LabellingSettings,
    folder: str,
) -> None:
    """Counts all shards and assigns all setups.

    `folder` gets `groups.parquet` and, for each bucket, its history and totals.
    """
    as_of_second = to_day(as_of) * 86_400
    merged = (
        pipeline
        | "Shards" >> beam.Create(shards)
        | "SpreadShards" >> beam.Reshuffle()
        | "CountShard" >> beam.ParDo(CountShard(contract, as_of_second, settings.buckets))
        | "ByBucket" >> beam.GroupByKey()
        | "MergeBucket" >> beam.MapTuple(lambda bucket, tables: (bucket, merge_counts(tables)))
    )
    groups = (
        merged
        | "GroupCounts" >> beam.MapTuple(lambda _, counts: group_counts(counts))
        | "AllGroups" >> beam.CombineGlobally(MergeGroups())
    )
    groups | "WriteGroups" >> beam.Map(write_parquet, f"{folder}/{GROUPS}")
    merged | "AssignBucket" >> beam.ParDo(
        AssignBucket(contract, as_of, settings, folder), groups=beam.pvalue.AsSingleton(groups)
    )


class LabelShard(beam.DoFn):
    """Shard -> its split totals; writes the labelled records of every split."""

    def __init__(
        self,
        contract: Contract,
        as_of: int,
        settings: LabellingSettings,
        history: str,
        shards: int,
        split_uris: Mapping[str, str],
        periods: Mapping[str, Period],
    ) -> None:
        self._contract, self._as_of, self._settings = contract, as_of, settings
        self._history_path, self._shards = history, shards
        self._split_uris, self._periods = dict(split_uris), dict(periods)

    def setup(self) -> None:
        history = read_parquet(self._history_path)
        self._reader = ClickReader(self._contract, self._as_of)
        self._lookup = HistoryLookup(history)
        self._appender = Appender(history, self._settings)

    def process(self, shard: Shard) -> Iterator[SplitTotals]:
        number, path = shard
        yield label_shard(
            path,
            number,
            self._shards,
            self._split_uris,
            self._periods,
            self._reader,
            self._lookup,
            self._appender,
        )


def label_pass(
    pipeline: beam.Pipeline, shards: Sequence[Shard], label: LabelShard, totals_path: str
) -> None:
    """Labels all shards; writes the split totals, a JSON list of [split, what, number]."""

    def add(many: Iterable[SplitTotals]) -> SplitTotals:
        return sum(many, Counter())

    def as_text(totals: SplitTotals) -> str:
        return json.dumps([[split, what, n] for (split, what), n in sorted(totals.items())])

    (
        pipeline
        | "Shards" >> beam.Create(shards)
        | "SpreadShards" >> beam.Reshuffle()
        | "LabelShard" >> beam.ParDo(label)
        | "AddTotals" >> beam.CombineGlobally(add)
        | "AsText" >> beam.Map(as_text)
        | "WriteTotals" >> beam.Map(write_text, totals_path)
    )
