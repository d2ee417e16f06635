"""Counts of whole setups, laid out as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from common.arrays import Ints
from components.task_labeler.calendar import Calendar
from components.task_labeler.decide.decay import DailyCounts


@dataclass(frozen=True)
class SetupCounts:
    """R setups, sorted by id.

    Attributes:
      setups: their ids.
      keys: (category, advertiser type) of each: that of its first day, smallest names first where
        a day has several.
      first_day: int64 [R], days since 1970-01-01.
      conflicting: setups of more than one category or advertiser type.
      daily: their counts.
    """

    setups: list[str]
    keys: list[tuple[str, str]]
    first_day: Ints
    conflicting: int
    daily: DailyCounts

    @classmethod
    def of(cls, counts: pa.Table, calendar: Calendar) -> SetupCounts:
        """
        Args:
          counts: merged counts (`counts.merge_counts`) of whole setups.
        """
        setups, row = enumerate_values(counts["setup_id"])
        categories, category = enumerate_values(counts["category"])
        kinds, kind = enumerate_values(counts["advertiser_type"])
        day = counts["day"].to_numpy().astype(np.int64)
        order = np.lexsort((kind, category, day, row))
        first = order[np.unique(row[order], return_index=True)[1]]
        contexts = np.unique(np.stack([row, category, kind]), axis=1)[0]
        return cls(
            setups,
            [(categories[category[i]], kinds[kind[i]]) for i in first.tolist()],
            day[first],
            int((np.bincount(contexts, minlength=len(setups)) > 1).sum()),
            daily_counts(counts, row, len(setups), calendar),
        )


def enumerate_values(values: pa.ChunkedArray) -> tuple[list[str], Ints]:
    """Distinct values, sorted, and each row's place among them, int64 [n]."""
    distinct = sorted(pc.unique(values).to_pylist())
    place = pc.index_in(values, value_set=pa.array(distinct, pa.string()))
    return distinct, place.to_numpy().astype(np.int64)


def daily_counts(counts: pa.Table, row: Ints, rows: int, calendar: Calendar) -> DailyCounts:
    """Counts whose row numbers are known, on the days of the calendar."""
    return DailyCounts.from_triples(
        rows,
        calendar.days,
        row,
        counts["day"].to_numpy().astype(np.int64) - calendar.first,
        counts["delay"].to_numpy().astype(np.int64),
        counts["clicks"].to_numpy(),
    )
