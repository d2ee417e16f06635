"""What is told of a log before it is read, against what was written."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.example_gen.peek import Span, peek
from components.example_gen.readers.source import Window
from schemas.contract import Contract, parse_contract

WINDOW = Window(date(2024, 1, 1), date(2024, 2, 1))


def contract(pattern: str, form: str = "parquet", unit: str = "s") -> Contract:
    return parse_contract(f"""
name: t
description: d
input: {{format: {form}, pattern: "{pattern}"}}
attribution_window_days: 7
timestamp_unit: {unit}
roles: {{timestamp: t, label: y, setup: [shop, goal]}}
features:
  of_setup: false
  categorical: [{{name: shop, buckets: 8}}]
""")


def at(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


def write(path: Path, days: list[date], times: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    n = len(days)
    columns = {"t": times, "y": [0] * n, "shop": ["a", "b"] * (n // 2), "goal": ["x"] * n}
    pq.write_table(pa.table(columns), path, row_group_size=2)


DAYS = [date(2024, 1, 9), date(2024, 1, 5), date(2024, 1, 20), date(2024, 1, 6)]


@pytest.mark.parametrize("unit", ["s", "ms", "timestamp"])
def test_footers_tell_days_rows_and_setups(tmp_path: Path, unit: str) -> None:
    moments = [at(day) for day in DAYS]
    if unit == "timestamp":
        times: Any = pa.array(moments, pa.timestamp("us", "UTC"))
    else:
        per = {"s": 1, "ms": 1000}[unit]
        times = [int(moment.timestamp()) * per for moment in moments]
    write(tmp_path / "log.parquet", DAYS, times)
    found = peek(contract("*.parquet", unit="ms" if unit == "ms" else "s"), tmp_path, WINDOW)
    assert found == Span(date(2024, 1, 5), date(2024, 1, 20), files=1, rows=4, setups=2)


def test_what_lies_outside_the_window_is_no_day_of_the_log(tmp_path: Path) -> None:
    days = [date(2023, 5, 1), date(2024, 6, 1)]
    write(tmp_path / "log.parquet", days, [int(at(d).timestamp()) for d in days])
    found = peek(contract("*.parquet"), tmp_path, WINDOW)
    assert (found.first_day, found.last_day) == (date(2024, 1, 1), date(2024, 1, 31))


def test_names_of_partitions_tell_days(tmp_path: Path) -> None:
    for day in range(10, 32):
        (tmp_path / f"2024-01-{day:02d}.csv").write_text("t,y,shop,goal\n1,0,a,x\n")
    found = peek(contract("{YYYY}-{MM}-{DD}.csv", "csv"), tmp_path, WINDOW)
    assert found == Span(date(2024, 1, 10), date(2024, 1, 31), files=22)


def test_one_file_of_text_tells_nothing_of_its_days(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("t,y,shop,goal\n1,0,a,x\n")
    assert peek(contract("log.csv", "csv"), tmp_path, WINDOW) == Span(files=1)


def test_a_file_without_statistics_tells_no_days(tmp_path: Path) -> None:
    table = pa.table({"t": [1704500000], "y": [0], "shop": ["a"], "goal": ["x"]})
    pq.write_table(table, tmp_path / "log.parquet", write_statistics=False)
    found = peek(contract("*.parquet"), tmp_path, WINDOW)
    assert (found.first_day, found.rows) == (None, 1)
