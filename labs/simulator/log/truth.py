"""Reads a simulated log's truth, joined to the clicks it belongs to."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa

from common.files.arrow import parquet_table
from labs.simulator.simulate import CLICKS, SETUPS, TRUTH
from schemas.errors import InputError
from schemas.setup_id import setup_ids


def read_truth(root: Path, start: date, end: date) -> pa.Table:
    """Clicks of the days from `start` up to, not including, `end`, with what the log hides.

    Returns:
      click_id int64, timestamp int64 (s), setup_id string, label int64, probability float64; in
      the log's order.

    Raises:
      InputError: a day has no clicks or no truth under `root`, or the two do not match.
    """
    days = [start + timedelta(days=i) for i in range((end - start).days)]
    return pa.concat_tables([_day(Path(root), day) for day in days])


def read_setups(root: Path) -> pa.Table:
    """One row per setup and day on which it ran.

    Returns:
      setup_id, the names of the log's columns, true_type, date, cvr (float64, true).

    Raises:
      InputError: `root` holds no simulated log.
    """
    path = Path(root) / SETUPS
    if not path.is_file():
        raise InputError(f"truth: no file {path}; wanted the folder of a simulated log")
    return parquet_table(path)


def _day(root: Path, day: date) -> pa.Table:
    names = ["click_id", "timestamp", "campaign_id", "conversion_goal", "label"]
    clicks = _parts(root / CLICKS / day.isoformat(), names)
    truth = _parts(root / TRUTH / day.isoformat(), ["click_id", "probability"])
    if not clicks["click_id"].equals(truth["click_id"]):
        raise InputError(f"truth: {root / TRUTH / day.isoformat()} is not of the same clicks")
    setup = setup_ids(
        [clicks[name].combine_chunks() for name in ("campaign_id", "conversion_goal")]
    )
    return pa.table(
        {
            "click_id": clicks["click_id"],
            "timestamp": clicks["timestamp"],
            "setup_id": setup,
            "label": clicks["label"],
            "probability": truth["probability"],
        }
    )


def _parts(folder: Path, columns: list[str]) -> pa.Table:
    files = sorted(folder.glob("part-*.parquet"))
    if not files:
        raise InputError(f"truth: no part-*.parquet in {folder}; wanted a day of the log")
    return pa.concat_tables([parquet_table(file, columns) for file in files])
