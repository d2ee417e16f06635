"""Criteo Attribution Modeling for Bidding: 30 days of display advertising.

Data: https://huggingface.co/datasets/criteo/criteo-attribution-dataset, file
`criteo_attribution_dataset.tsv.gz` (653 MB) or the same decompressed (`.tsv`), tab-separated with
a header. Licence: CC BY-NC-SA 4.0. Provenance: Criteo's live traffic, sampled and anonymised by
Criteo (Diemert, Meynet, Galland and Lefortier, AdKDD 2017).

A row of the file is an impression; the clicked ones are read. Each click is one example per
conversion type: `conversion` (any conversion of the user after it) and `attributed` (a conversion
that was attributed to Criteo).

Limits: times count from 0, so `epoch` places them in the calendar; weekday and hour are those of
the shifted clock. The log spans 31 days and its conversions 30, which leaves no room for a
training period, a gap of the window and an evaluation period: use a copy of the contract with a
shorter `attribution_window_days`, beyond which conversions then do not count.
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

FILES = ("criteo_attribution_dataset.tsv", "criteo_attribution_dataset.tsv.gz")
CONTEXT = tuple(f"cat{i}" for i in range(1, 10))
LAYOUT = Layout(
    columns=(
        "timestamp",
        "uid",
        "campaign",
        "conversion",
        "conversion_timestamp",
        "conversion_id",
        "attribution",
        "click",
        "click_pos",
        "click_nb",
        "cost",
        "cpo",
        "time_since_last_click",
        *CONTEXT,
    ),
    delimiter="\t",
    header=True,
)
WANTED = (
    "timestamp",
    "uid",
    "campaign",
    "conversion",
    "conversion_timestamp",
    "attribution",
    "click",
    "cost",
    "time_since_last_click",
    *CONTEXT,
)


class CriteoAttributionOptions(Frozen):
    epoch: Day = date(2017, 1, 1)
    """The day that second 0 of the log maps to (UTC). The default is arbitrary."""


class CriteoAttribution(DelimitedLog[CriteoAttributionOptions]):
    version = 1
    layout = LAYOUT
    wanted = WANTED

    def __init__(self, opening: Opening) -> None:
        super().__init__(opening, CriteoAttributionOptions)

    @property
    def path(self) -> Path:
        plain = self.opening.root / FILES[0]
        return plain if plain.is_file() else self.opening.file(FILES[1])

    def examples(self, rows: Rows) -> pa.RecordBatch:
        epoch = first_second(self.options.epoch)
        clicked = pc.add(rows.integers("timestamp"), epoch)
        converted = rows.integers("conversion_timestamp", missing=("", "-1"))
        columns = {
            "timestamp": clicked,
            "_delay": pc.subtract(pc.add(converted, epoch), clicked),
            "_conversion": rows.flags("conversion"),
            "_attributed": rows.flags("attribution"),
            "uid": rows.text("uid"),
            "campaign": rows.text("campaign"),
            "cost": rows.floats("cost"),
            "time_since_last_click": pc.cast(
                rows.integers("time_since_last_click", missing=("", "-1")), pa.float64()
            ),
            **{name: rows.text(name) for name in CONTEXT},
            **hour_and_weekday(clicked),
        }
        wanted = pc.and_(rows.flags("click"), in_window(self.opening.window, clicked))
        kept = {name: column.filter(wanted) for name, column in columns.items()}
        delay, conversion, attributed = (
            kept.pop(name) for name in ("_delay", "_conversion", "_attributed")
        )
        window = self.opening.attribution_seconds
        outcomes = {
            kind: conversions(kept["timestamp"], flag, delay, window)
            for kind, flag in (
                ("conversion", conversion),
                ("attributed", pc.and_(conversion, attributed)),
            )
        }
        return per_type(kept, outcomes)
