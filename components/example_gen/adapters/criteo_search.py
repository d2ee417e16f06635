"""Criteo Sponsored Search Conversion Log: 90 days of clicks on product ads.

Data: https://ailab.criteo.com/criteo-sponsored-search-conversion-log-dataset/, file
`CriteoSearchData` (6.4 GB), tab-separated without a header, 23 columns, sorted by click time.
Licence: CC BY-NC-SA 4.0 as far as known; read the terms that come with the file. Provenance:
Criteo Predictive Search traffic, sub-sampled and anonymised by Criteo (Tallis and Yadav, 2018).

Every row is a click and one example of type `sale`. Rows without a click time (0) are left out.
Text hashes of -1 are missing values.

Limits: the times in the file look like Unix seconds of a later year than the log's own, that is,
shifted; they are taken as they are unless `epoch` moves them. Weekday and hour are those of the
shifted clock. A sale without a delay is dated to the end of the attribution window.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from common.days import first_second
from components.example_gen.adapters.base import (
    Opening,
    conversions,
    hour_and_weekday,
    in_window,
    per_type,
)
from components.example_gen.adapters.delimited import DelimitedLog, Layout, Rows
from schemas.base import Day, Frozen

FILE = "CriteoSearchData"
MISSING = ("", "-1")
PRODUCT = (
    "product_age_group",
    "device_type",
    "audience_id",
    "product_gender",
    "product_brand",
    *(f"product_category{i}" for i in range(1, 8)),
    "product_country",
    "product_id",
)
LAYOUT = Layout(
    columns=(
        "Sale",
        "SalesAmountInEuro",
        "time_delay_for_conversion",
        "click_timestamp",
        "nb_clicks_1week",
        "product_price",
        *PRODUCT,
        "product_title",
        "partner_id",
        "user_id",
    ),
    delimiter="\t",
    header=False,
)
WANTED = (
    "Sale",
    "time_delay_for_conversion",
    "click_timestamp",
    "nb_clicks_1week",
    *PRODUCT,
    "partner_id",
    "user_id",
)


class CriteoSearchOptions(Frozen):
    epoch: Day = date(1970, 1, 1)
    """The day that second 0 of the click times maps to (UTC)."""


class CriteoSearch(DelimitedLog[CriteoSearchOptions]):
    version = 1
    layout = LAYOUT
    wanted = WANTED

    def __init__(self, opening: Opening) -> None:
        super().__init__(opening, CriteoSearchOptions)

    @property
    def path(self) -> Path:
        return self.opening.file(FILE)

    def examples(self, rows: Rows) -> pa.RecordBatch:
        stamp = rows.integers("click_timestamp")
        clicked = pc.add(stamp, first_second(self.options.epoch))
        columns = {
            "timestamp": clicked,
            "_delay": rows.integers("time_delay_for_conversion", MISSING),
            "_sale": rows.flags("Sale"),
            "nb_clicks_1week": rows.floats("nb_clicks_1week", MISSING),
            **{name: rows.text(name, MISSING) for name in (*PRODUCT, "partner_id", "user_id")},
            **hour_and_weekday(clicked),
        }
        wanted = pc.and_(pc.not_equal(stamp, 0), in_window(self.opening.window, clicked))
        kept = {name: column.filter(wanted) for name, column in columns.items()}
        delay, sale = kept.pop("_delay"), kept.pop("_sale")
        window = self.opening.attribution_seconds
        return per_type(kept, {"sale": conversions(kept["timestamp"], sale, delay, window)})
