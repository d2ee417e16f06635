"""The second Beam pass of the task labeller: label clicks.

One element stands for one file shard; everything inside it is columnar.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import apache_beam as beam
import pyarrow as pa

from common.days import SECONDS_PER_DAY
from common.files.gfile import read_parquet, write_text
from components.task_labeler.calendar import Period
from components.task_labeler.decide.completeness import curves_of
from components.task_labeler.passes.buckets import Shard
from components.task_labeler.passes.clicks import ClickReader
from components.task_labeler.passes.join import rows_of_shards
from components.task_labeler.passes.label import Appender, HistoryLookup, SplitPlaces, label_shard
from components.task_labeler.passes.observed import Observer
from components.task_labeler.settings import LabellingSettings
from schemas.contract import Contract
from schemas.labelled import EVAL

SplitTotals = Counter[tuple[str, str]]


class LabelShard(beam.DoFn):
    """(shard, its history rows or None) -> its split totals; writes its records of every split."""

    def __init__(
        self,
        contract: Contract,
        as_of: int,
        settings: LabellingSettings,
        shards: int,
        places: Mapping[str, SplitPlaces],
        periods: Mapping[str, Period],
        history: str | None,
        curves: str | None,
    ) -> None:
        """
        Args:
          as_of: seconds since 1970-01-01.
          history: path of the whole history, which every worker then holds; None when each shard
            comes with its own rows.
          curves: path of `completeness.curves_table`; None for a log without conversion times.
        """
        self._contract, self._as_of, self._settings = contract, as_of, settings
        self._shards, self._history_path, self._curves_path = shards, history, curves
        self._places, self._periods = dict(places), dict(periods)

    def setup(self) -> None:
        self._reader = ClickReader(self._contract, self._as_of)
        curves = None if self._curves_path is None else curves_of(read_parquet(self._curves_path))
        judged = self._periods[EVAL].first * SECONDS_PER_DAY
        self._observer = Observer(self._contract, judged, self._as_of, curves)
        if self._history_path is not None:
            self._whole = self._assignments(read_parquet(self._history_path))

    def process(self, element: tuple[Shard, pa.Table | None]) -> Iterator[SplitTotals]:
        (number, path), rows = element
        lookup, appender = self._whole if rows is None else self._assignments(rows)
        yield label_shard(
            path,
            number,
            self._shards,
            self._places,
            self._periods,
            self._reader,
            lookup,
            appender,
            self._observer,
        )

    def _assignments(self, history: pa.Table) -> tuple[HistoryLookup, Appender]:
        return HistoryLookup(history), Appender(history, self._settings)


def label_pass(
    pipeline: beam.Pipeline,
    shards: Sequence[Shard],
    contract: Contract,
    as_of: int,
    settings: LabellingSettings,
    places: Mapping[str, SplitPlaces],
    periods: Mapping[str, Period],
    history: str | None,
    curves: str | None,
    bucket_history: str,
    totals_path: str,
) -> None:
    """Labels all shards; writes the split totals, a JSON list of [split, what, number].

    Args:
      as_of: seconds since 1970-01-01.
      history: path of the whole history, for a broadcast join; None for a join by key.
      curves: path of `completeness.curves_table`; None for a log without conversion times.
      bucket_history: path of a bucket's history, with a format field for its number.
    """

    def add(many: Iterable[SplitTotals]) -> SplitTotals:
        return sum(many, Counter())

    def as_text(totals: SplitTotals) -> str:
        return json.dumps([[split, what, n] for (split, what), n in sorted(totals.items())])

    if history is None:
        work = rows_of_shards(pipeline, shards, contract, as_of, settings.buckets, bucket_history)
    else:
        work = pipeline | "Shards" >> beam.Create([(shard, None) for shard in shards])
    label = LabelShard(contract, as_of, settings, len(shards), places, periods, history, curves)
    (
        work
        | "LabelShard" >> beam.ParDo(label)
        | "AddTotals" >> beam.CombineGlobally(add)
        | "AsText" >> beam.Map(as_text)
        | "WriteTotals" >> beam.Map(write_text, totals_path)
    )
