"""Appends the assignment of its day to every click and sorts clicks into periods."""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from tfx_bsl.coders import example_coder

from components.common.days import SECONDS_PER_DAY
from components.common.tfrecords import ShardWriter
from components.task_labeler.calendar import Period
from components.task_labeler.clicks import ClickReader
from components.task_labeler.settings import LabellingSettings
from components.task_labeler.stability import Reason
from schemas import labelled

Ints = npt.NDArray[np.int64]


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

    Concatenated protocol buffer messages merge, and a map field merges by key, so a record and
    these bytes together are one Example that holds the fields of both. They are the same for all
    clicks of a setup on a day and are encoded once.
    """

    def __init__(self, history: pa.Table, settings: LabellingSettings) -> None:
        self._history, self._settings = history, settings
        self._encoder = example_coder.RecordBatchToExamplesEncoder()
        self._hard: npt.NDArray[np.bool_] = history["hard"].to_numpy()
        self._known: list[bytes | None] = [None] * history.num_rows

    def suffixes(self, rows: Ints) -> list[bytes]:
        """One suffix for each row number of the history table."""
        new = np.array([r for r in np.unique(rows) if self._known[r] is None], np.int64)
        if new.size:
            encoded = self._encoder.encode(
                labelled_fields(self._history.take(pa.array(new)), self._settings)
            )
            for row, suffix in zip(new.tolist(), encoded, strict=True):
                self._known[row] = suffix
        return [self._known[row] or b"" for row in rows.tolist()]

    def hard(self, rows: Ints) -> npt.NDArray[np.bool_]:
        """Whether the setup is hard in each row of the history table, bool [n]."""
        return self._hard[rows]


def labelled_fields(history: pa.Table, settings: LabellingSettings) -> pa.RecordBatch:
    """The fields of `schemas.labelled` for rows of a history table, one-valued lists each."""
    hard = history["hard"].to_numpy()
    cvr = history["historical_cvr"].to_numpy()
    between = (cvr > settings.online_alpha) & (cvr <= settings.alpha)
    new = history["observed_clicks"].to_numpy() < settings.min_clicks
    names = bucket_names(settings.cvr_buckets)
    buckets = [names[bisect_left(settings.cvr_buckets, value)] for value in cvr.tolist()]
    reasons = [Reason(r).name.lower() for r in history["reason"].to_pylist()]
    columns: dict[str, pa.Array] = {
        labelled.SETUP_ID: history["setup_id"],
        labelled.TASK: np.where(hard, labelled.HARD, labelled.SOFT),
        labelled.WEIGHT_HARD: hard.astype("f4"),
        labelled.WEIGHT_SOFT: (~hard).astype("f4"),
        labelled.TASK_REASON: reasons,
        labelled.HISTORICAL_CVR: cvr.astype("f4"),
        labelled.CVR_BUCKET: buckets,
        labelled.THRESHOLD_BAND: np.where(between, "between", "outside"),
        labelled.SETUP_HISTORY: np.where(new, "new", "known"),
        labelled.CATEGORY: history["category"],
        labelled.ADVERTISER_TYPE: history["advertiser_type"],
    }
    return pa.RecordBatch.from_arrays([_lists(v) for v in columns.values()], list(columns))


def bucket_names(edges: Sequence[float]) -> list[str]:
    """Names of the CVR ranges, lowest first: `<=0.1%`, `0.1%-1%`, `>1%`."""
    shown = [f"{100 * edge:g}%" for edge in edges]
    if not shown:
        return ["all"]
    between = [f"{low}-{high}" for low, high in itertools.pairwise(shown)]
    return [f"<={shown[0]}", *between, f">{shown[-1]}"]


def _lists(values: pa.Array | pa.ChunkedArray | npt.NDArray[np.generic] | list[str]) -> pa.Array:
    flat = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else pa.array(values)
    if isinstance(flat, pa.ChunkedArray):
        flat = pa.concat_arrays(flat.chunks)
    if pa.types.is_string(flat.type):
        flat = flat.cast(pa.binary())
    return pa.ListArray.from_arrays(pa.array(np.arange(len(flat) + 1, dtype=np.int32)), flat)


def label_shard(
    path: str,
    shard: int,
    shards: int,
    split_uris: Mapping[str, str],
    periods: Mapping[str, Period],
    reader: ClickReader,
    lookup: HistoryLookup,
    appender: Appender,
) -> Counter[tuple[str, str]]:
    """Writes one shard of every split.

    Returns:
      Counts by (split, what): examples, positives, hard_examples, hard_positives; clicks outside
      every period count under the split `none`.
    """
    totals: Counter[tuple[str, str]] = Counter()
    writers = {split: ShardWriter(uri, shard, shards) for split, uri in split_uris.items()}
    try:
        for records, keys in reader.read(path):
            day = keys.column("click_time").to_numpy() // SECONDS_PER_DAY
            rows = lookup.rows(keys.column("setup_id"), day)
            suffixes = appender.suffixes(rows)
            hard = appender.hard(rows)
            positive = keys.column("label").to_numpy() == 1
            outside = np.ones(len(records), bool)
            for split, period in periods.items():
                inside = (day >= period.first) & (day < period.end)
                outside &= ~inside
                writers[split].write(records[i] + suffixes[i] for i in np.flatnonzero(inside))
                totals[split, "examples"] += int(inside.sum())
                totals[split, "positives"] += int((inside & positive).sum())
                totals[split, "hard_examples"] += int((inside & hard).sum())
                totals[split, "hard_positives"] += int((inside & hard & positive).sum())
            totals["none", "examples"] += int(outside.sum())
    finally:
        for writer in writers.values():
            writer.close()
    return totals
