"""Appends the assignment of its day to every click and sorts clicks into periods."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tfx_bsl.coders import example_coder

from common.arrays import Bools, Ints
from common.clicks.one_valued import one_valued
from common.clicks.parquet_shard import ParquetShard
from common.clicks.tfrecords import ShardWriter
from common.days import SECONDS_PER_DAY
from components.task_labeler.calendar import Period
from components.task_labeler.decide.hysteresis import Reason
from components.task_labeler.outputs import routed_to
from components.task_labeler.passes.buckets import Shard
from components.task_labeler.passes.clicks import ClickReader
from components.task_labeler.passes.observed import Observer
from components.task_labeler.settings import LabellingSettings
from schemas import labelled


@dataclass(frozen=True)
class SplitPlaces:
    """Folders of a split.

    Attributes:
      examples: of its records, tf.Examples.
      columns: of the same examples as Parquet.
    """

    examples: str
    columns: str


@dataclass(frozen=True)
class Split:
    """Days of clicks, and where they are written."""

    period: Period
    places: SplitPlaces


class HistoryLookup:
    """Finds rows of a history table (`assign.HISTORY_SCHEMA`) by setup and day."""

    def __init__(self, history: pa.Table) -> None:
        self._setups = pc.unique(history["setup_id"])
        self._first = int(pc.min(history["day"]).as_py())
        self._days = int(pc.max(history["day"]).as_py()) - self._first + 1
        codes = self._codes(history["setup_id"], history["day"].to_numpy())
        self._order = np.argsort(codes, kind="stable")
        self._sorted = codes[self._order]

    def rows(self, setup_id: pa.Array, day: Ints) -> Ints:
        """Row numbers, int64 [n]; every pair must be in the table."""
        return self._order[np.searchsorted(self._sorted, self._codes(setup_id, day))]

    def _codes(self, setup_id: pa.Array | pa.ChunkedArray, day: Ints) -> Ints:
        place = pc.index_in(setup_id, value_set=self._setups).to_numpy().astype(np.int64)
        return place * self._days + (day - self._first)


class Appender:
    """The bytes that carry an assignment, to be put behind a serialized tf.Example.

    `rows` is that of `HistoryLookup`.

    Concatenated protocol buffer messages merge, and a map field merges by key, so a record and
    these bytes together are one Example that holds the fields of both.
    """

    def __init__(self, history: pa.Table, settings: LabellingSettings) -> None:
        self.rows = HistoryLookup(history).rows
        self._history, self._settings = history.combine_chunks(), settings
        self._encoder = example_coder.RecordBatchToExamplesEncoder()
        self._hard: Bools = history["hard"].to_numpy()

    def additions(self, rows: Ints) -> tuple[list[bytes], pa.RecordBatch]:
        """The suffix and the fields of `schemas.labelled` for each row number of the history."""
        # Clicks of a setup on a day have them in common: made once, then handed out.
        distinct, of_row = np.unique(rows, return_inverse=True)
        fields = labelled_fields(self._history.take(pa.array(distinct)), self._settings)
        suffixes = np.array(self._encoder.encode(one_valued(fields)), object)
        return suffixes[of_row].tolist(), fields.take(pa.array(of_row))

    def category(self, rows: Ints) -> pa.Array:
        """The setup's category in each row of the history table, strings [n]."""
        return _whole(self._history["category"]).take(pa.array(rows))

    def hard(self, rows: Ints) -> Bools:
        """Whether the setup is hard in each row of the history table, bool [n]."""
        return self._hard[rows]


def labelled_fields(history: pa.Table, settings: LabellingSettings) -> pa.RecordBatch:
    """The fields of `schemas.labelled` for rows of a history table."""
    hard = history["hard"].to_numpy()
    cvr = history["historical_cvr"].to_numpy()
    between = (cvr > settings.online_alpha) & (cvr <= settings.alpha)
    new = history["observed_clicks"].to_numpy() < settings.min_clicks
    buckets = np.array(bucket_names(settings.cvr_buckets))
    reasons = np.array([reason.name.lower() for reason in sorted(Reason)])
    columns: dict[str, pa.Array] = {
        labelled.SETUP_ID: _whole(history["setup_id"]),
        labelled.TASK: pa.array(np.where(hard, labelled.HARD, labelled.SOFT)),
        labelled.WEIGHT_HARD: pa.array(hard.astype("f4")),
        labelled.WEIGHT_SOFT: pa.array((~hard).astype("f4")),
        labelled.TASK_REASON: pa.array(reasons[history["reason"].to_numpy()]),
        labelled.ROUTED_TO: pa.array(routed_to(history, settings)),
        labelled.HISTORICAL_CVR: pa.array(cvr.astype("f4")),
        labelled.CVR_BUCKET: pa.array(buckets[np.searchsorted(settings.cvr_buckets, cvr)]),
        labelled.THRESHOLD_BAND: pa.array(np.where(between, "between", "outside")),
        labelled.SETUP_HISTORY: pa.array(np.where(new, "new", "known")),
        labelled.CATEGORY: _whole(history["category"]),
        labelled.ADVERTISER_TYPE: _whole(history["advertiser_type"]),
    }
    return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


def bucket_names(edges: Sequence[float]) -> list[str]:
    """Names of the CVR ranges, lowest first: `<=0.1%`, `0.1%-1%`, `>1%`."""
    shown = [f"{100 * edge:g}%" for edge in edges]
    if not shown:
        return ["all"]
    between = [f"{low}-{high}" for low, high in itertools.pairwise(shown)]
    return [f"<={shown[0]}", *between, f">{shown[-1]}"]


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)


class SplitWriter:
    """One shard of one split, as records and as columns, row i of the one being row i of the other.

    The columns are those of the records, as lists of one value (`common.clicks.one_valued`).
    """

    def __init__(self, places: SplitPlaces, shard: int, shards: int) -> None:
        self._records = ShardWriter(places.examples, shard, shards)
        name = f"data_parquet-{shard:05d}-of-{shards:05d}.parquet"
        self._columns = ParquetShard(f"{places.columns}/{name}")

    def write(self, records: Sequence[bytes], columns: pa.RecordBatch) -> None:
        self._records.write(records)
        self._columns.write(one_valued(columns))

    def close(self) -> None:
        self._records.close()
        self._columns.close()


def label_shard(
    shard: Shard,
    shards: int,
    splits: Mapping[str, Split],
    reader: ClickReader,
    appender: Appender,
    observer: Observer,
) -> Counter[tuple[str, str]]:
    """Writes one shard of every split.

    Args:
      shards: how many there are.

    Returns:
      Counts by (split, what): examples, positives and hard_examples, hard_positives by the label
      as observed by the as-of day, judged_positives and hard_judged_positives by the label as
      observed when the eval period began; clicks outside every period count under the split `none`.
    """
    totals: Counter[tuple[str, str]] = Counter()
    number, path = shard
    kept = reader.kept(path)
    if kept is not None and (span := reader.span_of(kept)) is not None:
        first, last = span
        if not any(p.first <= last and first < p.end for p in (s.period for s in splits.values())):
            totals["none", "examples"] = kept.rows
            return totals
    writers = {name: SplitWriter(s.places, number, shards) for name, s in splits.items()}
    try:
        for records, columns in reader.read(path, kept):
            keys = reader.keys_of(columns)
            day = keys.column("click_time").to_numpy() // SECONDS_PER_DAY
            rows = appender.rows(keys.column("setup_id"), day)
            hard = appender.hard(rows)
            observed = observer.fields(keys, appender.category(rows))
            positive = observer.label(keys) == 1
            judged = observed.column(0).to_numpy() == 1
            records, columns = observer.hide(records, columns, observer.unseen(keys))
            outside = np.ones(len(records), bool)
            for name, split in splits.items():
                inside = (day >= split.period.first) & (day < split.period.end)
                outside &= ~inside
                if inside.any():
                    suffixes, fields = appender.additions(rows[inside])
                    here, clicks_here = _chosen(records, columns, inside)
                    observed_here = observed.filter(pa.array(inside))
                    more = observer.suffixes(observed_here)
                    parts = zip(here, suffixes, more, strict=True)
                    labelled_records = list(map(b"".join, parts))
                    beside = _beside(_beside(clicks_here, fields), observed_here)
                    writers[name].write(labelled_records, beside)
                for whose, which in (("", np.ones(len(hard), bool)), ("hard_", hard)):
                    chosen = inside & which
                    totals[name, f"{whose}examples"] += int(chosen.sum())
                    totals[name, f"{whose}positives"] += int((chosen & positive).sum())
                    totals[name, f"{whose}judged_positives"] += int((chosen & judged).sum())
            totals["none", "examples"] += int(outside.sum())
    finally:
        for writer in writers.values():
            writer.close()
    return totals


def _chosen(
    records: list[bytes], columns: pa.RecordBatch, chosen: Bools
) -> tuple[list[bytes], pa.RecordBatch]:
    if chosen.all():
        return records, columns
    return list(itertools.compress(records, chosen)), columns.filter(pa.array(chosen))


def _beside(left: pa.RecordBatch, right: pa.RecordBatch) -> pa.RecordBatch:
    names = [*left.schema.names, *right.schema.names]
    return pa.RecordBatch.from_arrays([*left.columns, *right.columns], names)
