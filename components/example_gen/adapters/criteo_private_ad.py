"""CriteoPrivateAd: 30 days of display advertising, from landed clicks to sales.

Data: https://huggingface.co/datasets/criteo/CriteoPrivateAd, Parquet files in folders
`day_int=1` to `day_int=30`, directly in the data folder or under its `data/`. Licence: CC BY-SA
4.0. Provenance: Criteo's traffic, sampled and anonymised by Criteo (2025).

A row of the files is an impression; the clicked ones are read. Each click is one example per
conversion type: `landed` (the click landed on the advertiser's page), `visit` and `sale` (at
least one). The 80 columns `features_not_available_*` do not exist at bidding time and are leaks
here, as are the delays. A list feature becomes its elements joined by commas when the contract
calls it categorical, and its length when numeric.

Limits: the log knows days only. A click is dated to the start of its day, `epoch` being the day
of `day_int=1`, and a conversion to that plus its delay after the display, read as minutes
(`delay_seconds`). A visit has no delay of its own and takes that of the landed click; negative
delays count as 0, unknown ones as the whole attribution window. The meaning of the features is
not disclosed. Day 3 was published with a second copy of its rows in one file: `skip_files`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from common.days import first_second
from common.files.apart import foreign_batches
from common.files.arrow import open_parquet
from components.example_gen.adapters.base import Opening, conversions, per_type
from components.example_gen.readers.head import check_columns
from schemas.base import Day, Frozen
from schemas.errors import InputError

VERSION = 1
DAYS = 30
BATCH_ROWS = 65_536
DUPLICATE = "part-00000-d0cfd34a-794e-4f02-a177-a96d3f9483cf-c000.gz.parquet"
IDS = ("campaign_id", "publisher_id", "user_id")
DELAYS = {
    "landed": "landed_click_delay_after_display_array",
    "visit": "landed_click_delay_after_display_array",
    "sale": "sale_delay_after_display_array",
}
OUTCOMES = {"landed": "is_click_landed", "visit": "is_visit", "sale": "nb_sales"}
FEATURE = "features_"


class CriteoPrivateAdOptions(Frozen):
    epoch: Day = date(2017, 1, 1)
    """The day of `day_int=1` (UTC). The default is arbitrary."""
    delay_seconds: Annotated[int, Field(ge=1, le=86_400)] = 60
    """Seconds of one unit of the delay columns."""
    skip_files: tuple[str, ...] = (DUPLICATE,)
    """Names of files to leave out."""


class CriteoPrivateAd:
    """The log as a `Source`; a shard is a Parquet file."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._options = opening.checked(CriteoPrivateAdOptions)
        contract = opening.contract
        self._categorical = [n for n in contract.string_columns if n.startswith(FEATURE)]
        self._numeric = [n for n in contract.float_columns if n.startswith(FEATURE)]

    def shards(self) -> tuple[str, ...]:
        return tuple(f"{path.parent.name}/{path.name}" for path in self._files())

    def read(self, shard: str) -> Iterator[pa.RecordBatch]:
        path = self._base() / shard
        day = int(path.parent.name.removeprefix("day_int="))
        columns = [
            *IDS,
            "display_order",
            "is_clicked",
            *dict.fromkeys([*OUTCOMES.values(), *DELAYS.values()]),
            *self._categorical,
            *self._numeric,
        ]
        check_columns(str(path), open_parquet(str(path)).schema_arrow.names, columns)
        clicked = first_second(self._day(day))
        try:
            for batch in foreign_batches(str(path), columns, BATCH_ROWS):
                yield self._examples(batch, clicked, path)
        except (pa.ArrowException, TypeError) as error:
            # A column of another type than the log's.
            reason = " ".join(str(error).split())
            raise InputError(f"{path}: {reason}; wanted a Parquet file of the log") from error

    def fingerprint(self) -> str:
        return self._opening.fingerprint(VERSION, self._options, self._files())

    def _base(self) -> Path:
        below = self._opening.root / "data"
        return below if below.is_dir() else self._opening.root

    def _day(self, day: int) -> date:
        return self._options.epoch + timedelta(days=day - 1)

    def _files(self) -> list[Path]:
        """The files of the window's days; raises `InputError` for a day without any."""
        window, files = self._opening.window, []
        for day in range(1, DAYS + 1):
            if not window.start <= self._day(day) < window.end:
                continue
            folder = self._base() / f"day_int={day}"
            wanted = [p for p in folder.glob("*.parquet") if p.name not in self._options.skip_files]
            if not wanted:
                raise InputError(
                    f"{folder}: no Parquet file for {self._day(day)}; wanted one for each day of "
                    f"the window, {window.start} to {window.end} (not included)"
                )
            files += sorted(wanted)
        return files

    def _examples(self, batch: pa.RecordBatch, clicked: int, path: Path) -> pa.RecordBatch:
        batch = batch.filter(pc.fill_null(pc.equal(_number(batch, "is_clicked", path), 1), False))
        times = pa.array(np.full(batch.num_rows, clicked, np.int64))
        rows = {
            "timestamp": times,
            **{name: _category(batch.column(name)) for name in (*IDS, *self._categorical)},
            "display_order": _number(batch, "display_order", path),
            **{name: _number(batch, name, path) for name in self._numeric},
        }
        outcomes = {}
        for kind, column in OUTCOMES.items():
            converted = pc.fill_null(pc.greater(_number(batch, column, path), 0), False)
            delay = pc.multiply(
                _first_delay(batch.column(DELAYS[kind])), self._options.delay_seconds
            )
            outcomes[kind] = conversions(times, converted, delay, self._opening.attribution_seconds)
        return per_type(rows, outcomes)


def _category(column: pa.Array) -> pa.Array:
    if pa.types.is_list(column.type):
        return pc.binary_join(pc.cast(column, pa.list_(pa.string())), ",")
    if pa.types.is_floating(column.type):
        # Ids that have missing values come as floats; 7.0 is written "7".
        column = pc.if_else(pc.is_finite(column), column, None)
    return pc.cast(column, pa.string())


def _number(batch: pa.RecordBatch, name: str, path: Path) -> pa.Array:
    column = batch.column(name)
    if pa.types.is_list(column.type):
        column = pc.list_value_length(column)
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise InputError(f"{path}: column {name!r}: seen type {column.type}; wanted a number")
    values = pc.cast(column, pa.float64())
    return pc.if_else(pc.is_finite(values), values, None)


def _first_delay(delays: pa.Array) -> pa.Array:
    """Smallest element of each list, no less than 0; null for an empty or missing list."""
    first = np.full(len(delays), np.inf)
    row = pc.list_parent_indices(delays).to_numpy()
    values = pc.cast(pc.list_flatten(delays), pa.float64()).to_numpy(zero_copy_only=False)
    np.minimum.at(first, row, np.where(np.isnan(values), np.inf, np.maximum(values, 0)))
    none = np.isinf(first)
    return pa.array(np.where(none, 0, first).astype(np.int64), mask=none)
