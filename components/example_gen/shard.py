"""One shard of a log, from its rows to records on disk and rows set aside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from common.clicks.columns import ColumnWriter
from common.clicks.rows import Fault, first_in_words
from common.clicks.tfrecords import ShardWriter
from components.example_gen.encode import Encoder
from components.example_gen.labels import count_labels
from components.example_gen.readers.normalise import Normalised, normalise
from components.example_gen.readers.source import Source, Window
from schemas.contract import Contract


@dataclass
class ShardReport:
    """What became of a shard's rows.

    Attributes:
      rows: rows in the window, sound or not.
      outside: rows outside the window, left unread by the rest of the run.
      rejected: rows that break a rule of the contract.
      rules: rows by broken rule, "column: wanted ..." (a row may break several).
      first_fault: the first broken row in words, empty when there is none.
      labels: rows of the window by their label's name, see `count_labels`.
      first_second, last_second: of the clicks that were taken; null without any.
    """

    shard: str
    rows: int
    outside: int
    rejected: int
    rules: dict[str, int]
    first_fault: str
    labels: dict[str, int] = field(default_factory=dict)
    first_second: int | None = None
    last_second: int | None = None

    def saw(self, first: int, last: int) -> None:
        """Widens the span of the clicks that were taken."""
        self.first_second = min(first, first if self.first_second is None else self.first_second)
        self.last_second = max(last, last if self.last_second is None else self.last_second)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def ingest_shard(
    source: Source,
    key: str,
    number: int,
    shards: int,
    contract: Contract,
    window: Window,
    split_uri: str,
    rejected_uri: str,
) -> ShardReport:
    """Writes the shard's sound rows of the window as records, and its bad rows aside."""
    encoder, report = Encoder(), ShardReport(key, 0, 0, 0, {}, "")
    writer = ShardWriter(split_uri, number, shards)
    columns = ColumnWriter(writer.path, contract)
    rejected: list[pa.Table] = []
    seen = 0
    try:
        for read in _normalised(source, key, contract):
            batch, faults = read.batch, read.broken_rules(contract)
            bad = np.zeros(batch.num_rows, bool)
            for fault in faults:
                bad |= fault.rows
            time = batch.column(contract.roles.timestamp).fill_null(0).to_numpy()
            start, end = window.seconds
            inside = (time >= start) & (time < end) & ~bad
            report.rows += int(inside.sum() + bad.sum())
            report.outside += int((~inside & ~bad).sum())
            report.rejected += int(bad.sum())
            if inside.any():
                report.saw(int(time[inside].min()), int(time[inside].max()))
            count_labels(report.labels, read, contract, window)
            if faults:
                rejected.append(_set_aside(batch, faults, bad, seen))
                _describe(report, faults, batch, key, seen)
            sound = batch if inside.all() else batch.filter(pa.array(inside))
            writer.write(encoder.encode(sound))
            columns.write(sound)
            seen += batch.num_rows
    finally:
        writer.close()
    columns.close()
    if rejected:
        Path(rejected_uri).mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.concat_tables(rejected), f"{rejected_uri}/rejected-{number:05d}.parquet")
    return report


def _normalised(source: Source, key: str, contract: Contract) -> Iterator[Normalised]:
    for batch in source.read(key):
        if batch.num_rows:
            yield normalise(batch, contract, key)


def _set_aside(
    batch: pa.RecordBatch, faults: list[Fault], bad: np.ndarray[Any, Any], seen: int
) -> pa.Table:
    """The bad rows, each with its place in the file and the first rule that it breaks."""
    rows = np.flatnonzero(bad)
    first = np.argmax([fault.rows[rows] for fault in faults], axis=0)
    words = [faults[i].words(batch, row) for i, row in zip(first, rows.tolist(), strict=True)]
    table = pa.Table.from_batches([batch.filter(pa.array(bad))])
    return table.add_column(0, "row", pa.array(rows + seen + 1)).add_column(
        1, "fault", pa.array(words, pa.string())
    )


def _describe(
    report: ShardReport, faults: list[Fault], batch: pa.RecordBatch, key: str, seen: int
) -> None:
    for fault in faults:
        report.rules[fault.rule] = report.rules.get(fault.rule, 0) + int(fault.rows.sum())
    if not report.first_fault:
        report.first_fault = first_in_words(faults, batch, key, seen)
