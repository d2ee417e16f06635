"""The second Beam pass of the task labeller: label clicks.

One element stands for one file shard; everything inside it is columnar.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import apache_beam as beam
import pyarrow as pa

from common.days import SECONDS_PER_DAY
from common.files.gfile import read_parquet, write_text
from components.task_labeler.decide.completeness import curves_of
from components.task_labeler.passes.buckets import Shard
from components.task_labeler.passes.clicks import ClickLog, ClickReader
from components.task_labeler.passes.join import rows_of_shards
from components.task_labeler.passes.label import Appender, Split, label_shard
from components.task_labeler.passes.observed import Observer
from components.task_labeler.settings import LabellingSettings
from schemas.labelled import EVAL

SplitTotals = Counter[tuple[str, str]]


@dataclass(frozen=True)
class AssignmentFiles:
    """What the first pass decided, as the second reads it.

    Attributes:
      history: path of the whole history, which every worker then holds; None where it is too large
        for that, and each shard is sent its own rows.
      bucket_history: path of a bucket's history, with a format field for its number.
      curves: path of `completeness.curves_table`; None for a log without conversion times.
    """

    history: str | None
    bucket_history: str
    curves: str | None


class LabelShard(beam.DoFn):
    """(shard, its history rows or None) -> its split totals; writes its records of every split."""

    def __init__(
        self,
        log: ClickLog,
        settings: LabellingSettings,
        splits: Mapping[str, Split],
        assigned: AssignmentFiles,
    ) -> None:
        self._log, self._settings = log, settings
        self._splits, self._assigned = dict(splits), assigned

    def setup(self) -> None:
        log, assigned = self._log, self._assigned
        self._reader = ClickReader(log.contract, log.end)
        curves = None if assigned.curves is None else curves_of(read_parquet(assigned.curves))
        judged = self._splits[EVAL].period.first * SECONDS_PER_DAY
        self._observer = Observer(log.contract, judged, log.end, curves)
        if assigned.history is not None:
            self._whole = Appender(read_parquet(assigned.history), self._settings)

    def process(self, element: tuple[Shard, pa.Table | None]) -> Iterator[SplitTotals]:
        shard, rows = element
        appender = self._whole if rows is None else Appender(rows, self._settings)
        shards = len(self._log.files)
        yield label_shard(shard, shards, self._splits, self._reader, appender, self._observer)


def label_pass(
    pipeline: beam.Pipeline,
    log: ClickLog,
    settings: LabellingSettings,
    splits: Mapping[str, Split],
    assigned: AssignmentFiles,
    totals_path: str,
) -> None:
    """Labels all shards; writes the split totals, a JSON list of [split, what, number]."""

    def add(many: Iterable[SplitTotals]) -> SplitTotals:
        return sum(many, Counter())

    def as_text(totals: SplitTotals) -> str:
        return json.dumps([[split, what, n] for (split, what), n in sorted(totals.items())])

    if assigned.history is None:
        work = rows_of_shards(pipeline, log, settings.buckets, assigned.bucket_history)
    else:
        work = pipeline | "Shards" >> beam.Create([(shard, None) for shard in log.shards])
    (
        work
        | "LabelShard" >> beam.ParDo(LabelShard(log, settings, splits, assigned))
        | "AddTotals" >> beam.CombineGlobally(add)
        | "AsText" >> beam.Map(as_text)
        | "WriteTotals" >> beam.Map(write_text, totals_path)
    )
