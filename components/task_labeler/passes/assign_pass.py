"""The first Beam pass of the task labeller: count clicks and assign setups.

One element stands for one file shard or one bucket of setups; everything inside it is columnar.
Only sums per setup, day and delay are ever shuffled, never clicks.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import date

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.windowed_value import WindowedValue

from common.arrays import Floats
from common.days import to_day
from common.files.gfile import write_json, write_parquet, write_text
from components.task_labeler.calendar import Calendar
from components.task_labeler.decide.assign import assign
from components.task_labeler.decide.counts import (
    GROUP_KEYS,
    group_counts,
    merge_counts,
    merge_delays,
)
from components.task_labeler.decide.estimates import (
    Curves,
    SharedEstimates,
    build_curves,
    estimate_shared,
    log_moments,
)
from components.task_labeler.passes.buckets import Shard, split_by_bucket
from components.task_labeler.passes.clicks import ClickLog, ClickReader
from components.task_labeler.settings import LabellingSettings

Moments = list[list[list[float]]] | None
"""`estimates.log_moments` of all setups, nested lists; None where nothing is estimated."""

GROUPS = "groups.parquet"
DELAYS = "delays.parquet"
MOMENTS = "moments.json"
HISTORY = "history-{:05d}.parquet"
COUNTS = "counts-{:05d}.parquet"
TOTALS = "totals-{:05d}.json"
DELAYED = "delayed"
"""Output of `CountShards` beside the counts."""


def calendar_of(groups: pa.Table, as_of: date) -> Calendar:
    """The days from the log's first click to the as-of day."""
    return Calendar(int(pc.min(groups["day"]).as_py()), to_day(as_of))


def estimates_of(
    groups: pa.Table, moments: Moments, log: ClickLog, settings: LabellingSettings
) -> SharedEstimates:
    """Priors and curves over the days from the log's first click to the as-of day."""
    return estimate_shared(
        groups,
        calendar_of(groups, log.as_of),
        log.contract.attribution_window_days,
        settings,
        None if moments is None else np.array(moments),
    )


class CountShards(beam.DoFn):
    """Shards -> (bucket, counts of its setups), at most one element a bucket and bundle; the
    output `DELAYED` gets the bundle's delays."""

    def __init__(self, log: ClickLog, buckets: int) -> None:
        self._log, self._buckets = log, buckets

    def setup(self) -> None:
        self._reader = ClickReader(self._log.contract, self._log.end)

    def start_bundle(self) -> None:
        self._counted: list[pa.Table] = []
        self._delays: list[pa.Table] = []

    def process(self, shard: Shard) -> None:
        counts, delays = self._reader.counts(shard[1])
        self._counted.append(counts)
        self._delays.append(delays)

    def finish_bundle(self) -> Iterator[WindowedValue | TaggedOutput]:
        counts = merge_counts(self._counted)
        if counts.num_rows:
            for of_bucket in split_by_bucket(counts, self._buckets):
                yield GlobalWindows.windowed_value(of_bucket)
        delays = GlobalWindows.windowed_value(merge_delays(self._delays))
        yield TaggedOutput(DELAYED, delays)


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


class MergeDelays(beam.CombineFn):
    """Sums delays."""

    def create_accumulator(self) -> pa.Table:
        return merge_delays([])

    def add_input(self, total: pa.Table, delays: pa.Table) -> pa.Table:
        return merge_delays([total, delays])

    def merge_accumulators(self, totals: Iterable[pa.Table]) -> pa.Table:
        return merge_delays(totals)

    def extract_output(self, total: pa.Table) -> pa.Table:
        return total


class BucketMoments(beam.DoFn):
    """(bucket, merged counts) -> (bucket, its setups' moments)."""

    def __init__(self, log: ClickLog, settings: LabellingSettings) -> None:
        self._log, self._settings = log, settings
        self._curves: Curves | None = None

    def process(
        self, element: tuple[int, pa.Table], groups: pa.Table
    ) -> Iterator[tuple[int, Floats]]:
        bucket, counts = element
        window = self._log.contract.attribution_window_days
        if self._curves is None:
            calendar = calendar_of(groups, self._log.as_of)
            self._curves = build_curves(groups, calendar, window, self._settings)
        yield bucket, log_moments(counts, self._curves, window, self._settings)


def add_moments(parts: Iterable[tuple[int, Floats]]) -> Moments:
    """The sum in the order of the buckets, which the runner's order cannot change."""
    ordered = [part for _, part in sorted(parts, key=lambda part: part[0])]
    return sum(ordered[1:], start=ordered[0]).tolist() if ordered else None


class AssignBucket(beam.DoFn):
    """(bucket, merged counts) -> bucket; writes the bucket's counts, history and totals."""

    def __init__(self, log: ClickLog, settings: LabellingSettings, folder: str) -> None:
        self._log, self._settings, self._folder = log, settings, folder
        self._estimates: SharedEstimates | None = None

    def process(
        self, element: tuple[int, pa.Table], groups: pa.Table, moments: Moments
    ) -> Iterator[int]:
        bucket, counts = element
        if self._estimates is None:
            self._estimates = estimates_of(groups, moments, self._log, self._settings)
        window = self._log.contract.attribution_window_days
        history, totals = assign(counts, self._estimates, window, self._settings)
        write_parquet(counts, f"{self._folder}/{COUNTS.format(bucket)}")
        write_parquet(history, f"{self._folder}/{HISTORY.format(bucket)}")
        text = json.dumps(
            {"by_day": {k: v.tolist() for k, v in totals.by_day.items()}, "counts": totals.counts}
        )
        write_text(text, f"{self._folder}/{TOTALS.format(bucket)}")
        yield bucket


def assign_pass(
    pipeline: beam.Pipeline, log: ClickLog, settings: LabellingSettings, folder: str
) -> None:
    """Counts all shards and assigns all setups.

    `folder` gets `groups.parquet`, `delays.parquet`, `moments.json` and, for each bucket, its
    counts, history and totals.
    """
    count = CountShards(log, settings.buckets)
    counted = (
        pipeline
        | "Shards" >> beam.Create(log.shards)
        | "CountShards" >> beam.ParDo(count).with_outputs(DELAYED, main="counts")
    )
    (
        counted[DELAYED]
        | "AllDelays" >> beam.CombineGlobally(MergeDelays())
        | "WriteDelays" >> beam.Map(write_parquet, f"{folder}/{DELAYS}")
    )
    merged = (
        counted.counts
        | "ByBucket" >> beam.GroupByKey()
        | "MergeBucket" >> beam.MapTuple(lambda bucket, tables: (bucket, merge_counts(tables)))
    )
    groups = (
        merged
        | "GroupCounts" >> beam.MapTuple(lambda _, counts: group_counts(counts))
        | "AllGroups" >> beam.CombineGlobally(MergeGroups())
    )
    groups | "WriteGroups" >> beam.Map(write_parquet, f"{folder}/{GROUPS}")
    shared = beam.pvalue.AsSingleton(groups)
    if settings.prior_clicks == "estimate":
        moments = (
            merged
            | "BucketMoments" >> beam.ParDo(BucketMoments(log, settings), groups=shared)
            | "AllMoments" >> beam.combiners.ToList()
            | "AddMoments" >> beam.Map(add_moments)
        )
    else:
        moments = pipeline | "NoMoments" >> beam.Create([None])
    moments | "WriteMoments" >> beam.Map(write_json, f"{folder}/{MOMENTS}")
    merged | "AssignBucket" >> beam.ParDo(
        AssignBucket(log, settings, folder),
        groups=shared,
        moments=beam.pvalue.AsSingleton(moments),
    )
