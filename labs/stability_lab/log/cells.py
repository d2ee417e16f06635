"""A click log as the lab sees it: sums by setup and day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from common.arrays import Bools, Floats, Ints
from components.task_labeler.decide.counts import NOT_CONVERTED

Progress = Callable[[int, int], None]
"""Called with (done, in all)."""


@dataclass(frozen=True)
class Setups:
    """What is known of each setup, lists of one length in the order of their ids.

    Attributes:
      ids: sorted.
      category, advertiser_type: those of the setup's first day, "" where the contract has none.
      advertiser: as these; None when the contract names no advertiser.
    """

    ids: list[str]
    category: list[str]
    advertiser_type: list[str]
    advertiser: list[str] | None


@dataclass(frozen=True)
class Cells:
    """Days on which a setup had clicks, sorted by setup and day.

    Attributes:
      setup: int64 [n], place of the setup in `Setups.ids`.
      day: int64 [n], days since 1970-01-01.
      clicks, conversions: int64 [n]; conversions are those seen before the as-of day.
      spend: float64 [n], or None when the contract has no spend.
    """

    setup: Ints
    day: Ints
    clicks: Ints
    conversions: Ints
    spend: Floats | None

    def __len__(self) -> int:
        return len(self.day)

    @property
    def first_of_setup(self) -> Bools:
        """Bool [n], the setup's first day."""
        first = np.ones(len(self), bool)
        first[1:] = self.setup[1:] != self.setup[:-1]
        return first


@dataclass(frozen=True)
class LabLog:
    """A log up to its as-of day.

    Attributes:
      counts: a table of `task_labeler.counts.SCHEMA`.
      first_day, as_of: of the calendar, days since 1970-01-01.
      attribution_days: of the contract.
      bad_rows: rows left out because they break the contract.
    """

    counts: pa.Table
    setups: Setups
    cells: Cells
    first_day: int
    as_of: int
    attribution_days: int
    bad_rows: int

    @property
    def mature(self) -> Bools:
        """Bool [n], cells whose conversions had all been seen by the as-of day."""
        return self.cells.day < self.as_of - self.attribution_days


def build_log(
    counts: pa.Table,
    as_of: int,
    attribution_days: int,
    spend: pa.Table | None = None,
    owners: pa.Table | None = None,
    bad_rows: int = 0,
) -> LabLog:
    """A log from its sums.

    Args:
      counts: merged counts (`task_labeler.counts.SCHEMA`).
      spend: setup_id, day, spend (float64), one row a setup and day.
      owners: setup_id, advertiser, day (the first one), one row a setup and advertiser.
    """
    ids = sorted(pc.unique(counts["setup_id"]).to_pylist())
    place = pa.array(ids, pa.string())
    category, kind = _first(counts, place, "category"), _first(counts, place, "advertiser_type")
    advertiser = None if owners is None else _first(owners, place, "advertiser")
    day = counts["day"].to_numpy().astype(np.int64)
    first, days = int(day.min()), as_of - int(day.min()) + 1
    code = _places(counts["setup_id"], place) * days + day - first
    codes, cell = np.unique(code, return_inverse=True)
    clicks = counts["clicks"].to_numpy()
    converted = counts["delay"].to_numpy() != NOT_CONVERTED
    cells = Cells(
        codes // days,
        codes % days + first,
        np.bincount(cell, clicks).astype(np.int64),
        np.bincount(cell, clicks * converted).astype(np.int64),
        None if spend is None else _spend_of(spend, place, codes, days, first),
    )
    setups = Setups(ids, category, kind, advertiser)
    return LabLog(counts, setups, cells, first, as_of, attribution_days, bad_rows)


def _places(values: pa.ChunkedArray, ids: pa.Array) -> Ints:
    places: Ints = pc.index_in(values, value_set=ids).to_numpy().astype(np.int64)
    return places


def _first(table: pa.Table, ids: pa.Array, column: str) -> list[str]:
    """Each setup's value on its first day, the smallest where a day has several."""
    ordered = table.sort_by(
        [("setup_id", "ascending"), ("day", "ascending"), (column, "ascending")]
    )
    setup = _places(ordered["setup_id"], ids)
    first = np.flatnonzero(np.append(True, setup[1:] != setup[:-1]))
    values: list[str] = ordered[column].take(pa.array(first)).to_pylist()
    return values


def _spend_of(spend: pa.Table, ids: pa.Array, codes: Ints, days: int, first: int) -> Floats:
    day = spend["day"].to_numpy().astype(np.int64)
    cell = np.searchsorted(codes, _places(spend["setup_id"], ids) * days + day - first)
    return np.bincount(cell, spend["spend"].to_numpy(), len(codes)).astype(np.float64)
