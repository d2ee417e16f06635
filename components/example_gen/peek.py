"""What a log's files tell of its clicks before any is read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa

from common.days import SECONDS_PER_DAY, to_date
from common.files.apart import foreign_table
from common.files.arrow import parquet_file
from components.example_gen.readers.normalise import click_seconds
from components.example_gen.readers.partitions import (
    first_partition,
    is_partitioned,
    window_files,
)
from components.example_gen.readers.source import Window
from schemas.contract import Contract

COUNTED_ROWS = 2_000_000
"""Rows up to which setups are counted: their columns are read whole."""


@dataclass(frozen=True)
class Span:
    """A log within its window; null where the files do not tell.

    Attributes:
      first_day, last_day: of the clicks in the window.
      rows: in the files, those outside the window among them.
      setups: different ones in the files.
    """

    first_day: date | None = None
    last_day: date | None = None
    files: int | None = None
    rows: int | None = None
    setups: int | None = None


def peek(contract: Contract, root: Path, window: Window) -> Span:
    """By the footers of Parquet files and the names of daily partitions, else nothing.

    Args:
      root: folder that a relative pattern starts from.

    Raises:
      InputError: a partition or every file is missing.
    """
    form, pattern = contract.input.format, contract.input.pattern
    if form not in ("parquet", "csv", "tfrecord"):
        return Span()
    files = window_files(root, pattern, window)
    if form == "parquet":
        try:
            return _footers(files, contract, window)
        except (pa.ArrowException, OSError, ValueError, TypeError, KeyError):
            # What is wrong with a file, the ingest says with its name.
            return Span(files=len(files))
    if is_partitioned(pattern):
        return Span(first_partition(root, pattern, window), window.days[-1], len(files))
    return Span(files=len(files))


def _footers(files: tuple[str, ...], contract: Contract, window: Window) -> Span:
    days = _days_of(files, contract)
    rows = sum(parquet_file(f).metadata.num_rows for f in files)
    return Span(
        first_day=max(days[0], window.start) if days else None,
        last_day=min(days[1], window.days[-1]) if days else None,
        files=len(files),
        rows=rows,
        setups=_setups(files, contract) if rows <= COUNTED_ROWS else None,
    )


def _days_of(files: tuple[str, ...], contract: Contract) -> tuple[date, date] | None:
    """Days of the first and the last time by the statistics of the files' row groups."""
    column, ends = contract.roles.timestamp, list[int]()
    for path in files:
        file = parquet_file(path)
        place = file.metadata.schema.names.index(column)
        kind = file.schema_arrow.field(column).type
        for number in range(file.metadata.num_row_groups):
            statistics = file.metadata.row_group(number).column(place).statistics
            if statistics is None or not statistics.has_min_max:
                return None
            times = pa.array([statistics.min, statistics.max], kind)
            ends += click_seconds(times, contract).to_pylist()
    if not ends:
        return None
    return to_date(min(ends) // SECONDS_PER_DAY), to_date(max(ends) // SECONDS_PER_DAY)


def _setups(files: tuple[str, ...], contract: Contract) -> int:
    columns = list(contract.roles.setup)
    setups: set[tuple[str, ...]] = set()
    for path in files:
        part = foreign_table(path, columns).group_by(columns).aggregate([])
        # As text: files may hold a column in different types.
        setups.update(tuple(map(str, row.values())) for row in part.to_pylist())
    return len(setups)
