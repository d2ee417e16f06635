"""Values of a log as the contract's types."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest

from components.example_gen.readers.normalise import Normalised, normalise
from schemas.contract import Contract

BERLIN = ZoneInfo("Europe/Berlin")


def contract(**changes: Any) -> Contract:
    form = {
        "name": "mine",
        "description": "clicks",
        "input": {"format": "csv", "pattern": "log.csv"},
        "attribution_window_days": 1,
        "roles": {
            "timestamp": "t",
            "label": "y",
            "setup": ["s"],
            "conversion_timestamp": "c",
        },
        "features": {},
    }
    return Contract.model_validate(form | changes)


def read(made: Contract, **columns: Any) -> Normalised:
    whole: dict[str, Any] = {"t": ["1"], "y": ["0"], "s": ["a"], "c": [None]}
    rows = max(len(c) for c in columns.values())
    arrays = [
        values if isinstance(values, pa.Array) else pa.array(values, pa.string())
        for values in (columns.get(name, value * rows) for name, value in whole.items())
    ]
    batch = pa.RecordBatch.from_arrays(arrays, list(whole))
    return normalise(batch, made, "log.csv")


def seconds(*text: str) -> list[int]:
    return [int(datetime.fromisoformat(t).replace(tzinfo=BERLIN).timestamp()) for t in text]


def test_date_times_without_a_zone_are_of_the_contracts() -> None:
    made = contract(timestamp_unit="iso", timestamp_zone="Europe/Berlin")
    times = ["2025-07-01 12:00:00", "2025-01-01T12:00", "2025-07-01T12:00:00Z", "yesterday"]
    found = read(made, t=times)
    winter_and_summer = seconds("2025-07-01 12:00:00", "2025-01-01 12:00")
    utc = winter_and_summer[0] + 2 * 3600
    assert found.batch["t"].to_pylist() == [*winter_and_summer, utc, None]
    assert [fault.rows.tolist() for fault in found.faults] == [[False, False, False, True]]


def test_far_years_and_fine_seconds_are_what_they_say() -> None:
    """Nanoseconds in 64 bits wrap around after 2262: 2610 would be a day of 2026."""
    found = read(
        contract(timestamp_unit="iso"),
        t=[
            "2610-07-24T00:34:33Z",
            "1441-06-05T00:00:00Z",
            "2026-01-02T00:00:00.123456789Z",
            "2610-07-01T00:00:00.123456789Z",
            "2610-07-01T01:00:00.1234567+01:00",
        ],
    )
    wanted = [
        datetime(y, m, d, H, M, S, tzinfo=UTC).timestamp()
        for y, m, d, H, M, S in (
            (2610, 7, 24, 0, 34, 33),
            (1441, 6, 5, 0, 0, 0),
            (2026, 1, 2, 0, 0, 0),
            (2610, 7, 1, 0, 0, 0),
            (2610, 7, 1, 0, 0, 0),
        )
    ]
    assert found.batch["t"].to_pylist() == wanted


def test_without_one_they_are_refused_with_the_way_out() -> None:
    found = read(contract(timestamp_unit="iso"), t=["2025-07-01 12:00:00"])
    assert found.batch["t"].to_pylist() == [None]
    assert "set `timestamp_zone` in the contract" in found.faults[0].wanted


def test_the_hour_that_comes_twice_is_the_first() -> None:
    made = contract(timestamp_unit="iso", timestamp_zone="Europe/Berlin")
    found = read(made, t=["2025-10-26 02:30:00"])
    # `fold=0`, Python's own first of the two.
    assert found.batch["t"].to_pylist() == seconds("2025-10-26 02:30:00")


def test_timestamps_without_a_zone_are_of_the_contracts_or_utc() -> None:
    moment = datetime(2025, 7, 1, 12)
    naive, aware = (
        pa.array([moment], pa.timestamp("us")),
        pa.array([moment], pa.timestamp("us", "UTC")),
    )
    utc = 1_751_371_200
    for zone, wanted in ((None, utc), ("Europe/Berlin", utc - 2 * 3600)):
        made = contract(timestamp_zone=zone)
        assert read(made, t=naive).batch["t"].to_pylist() == [wanted]
        assert read(made, t=aware).batch["t"].to_pylist() == [utc]


@pytest.mark.parametrize(
    ("positive", "values", "wanted"),
    [
        ("above_zero", ["9.50", "0", None, "nan", "-3", "much"], [1, 0, 0, 0, 0, None]),
        (("yes", "1"), ["yes", "no", None, "1", "Yes", "0"], [1, 0, 0, 1, 0, 0]),
        (("true",), pa.array([True, False, None]), [1, 0, 0]),
        (("2",), pa.array([2, 1, None]), [1, 0, 0]),
        ("above_zero", pa.array([0.01, 0.0, None]), [1, 0, 0]),
        ("above_zero", pa.array([np.inf, 1.0, -np.inf]), [None, 1, None]),
    ],
)
def test_labels_by_their_values(positive: Any, values: Any, wanted: list[int | None]) -> None:
    found = read(contract(positive_labels=positive), y=values)
    assert found.batch["y"].to_pylist() == wanted
    assert bool(found.faults) == (None in wanted)


NUMBERS: dict[str, tuple[int | None, float | None]] = {
    " 7 ": (7, 7.0),
    "7.0": (7, 7.0),
    "7e3": (7000, 7000.0),
    "0x1": (None, None),
    "0X1F": (None, None),
    "-0x1": (None, None),
    "1_000": (None, None),
    "1,000": (None, None),
    "\u0667": (None, None),
    "1e400": (None, np.inf),
    "inf": (None, np.inf),
    "true": (None, None),
}


def test_numbers_in_text_are_decimal() -> None:
    """An infinite number of a feature is a fault of its own, found behind this."""
    roles = contract().model_dump()["roles"] | {"spend": "m"}
    made = contract(roles=roles)
    text = list(NUMBERS)
    batch = pa.record_batch([pa.array(text)] * 5, names=list("tyscm"))
    found = normalise(batch, made, "log.csv")
    whole = [number for number, _ in NUMBERS.values()]
    assert found.batch["y"].to_pylist() == whole
    # A time with an exponent has been rounded on the way.
    times = [None if text == "7e3" else n for text, n in zip(text, whole, strict=True)]
    assert found.batch["t"].to_pylist() == times
    assert found.batch["c"].to_pylist() == [-1 if n is None else n for n in times]
    assert found.batch["m"].to_pylist() == [number for _, number in NUMBERS.values()]
    faults = {fault.column: int(fault.rows.sum()) for fault in found.faults}
    assert faults == {"t": 10, "y": 9, "c": 10, "m": 7}
    broken = {(f.column, int(f.rows.sum())) for f in found.broken_rules(made) if f.column == "m"}
    assert broken == {("m", 7), ("m", 2)}


ROUNDED = ["1.76728E+09", "1.7676576e9", " 1e9", "+1.E9", "1767657600"]


def test_times_with_an_exponent_are_bad_values() -> None:
    """What a spreadsheet shows of 1767283456 are three hours of clicks."""
    found = read(contract(), t=ROUNDED)
    assert found.batch["t"].to_pylist() == [None] * 4 + [1767657600]
    [fault] = found.faults
    assert fault.rows.tolist() == [True] * 4 + [False]
    assert fault.words(found.batch, 0).startswith(
        "column t: seen '1.76728E+09', wanted a whole number, a time in s since 1970-01-01, "
        "without an exponent"
    )


def test_no_conversion_has_many_names() -> None:
    found = read(contract(), c=[None, "-1", "0", "", "1751371200"])
    assert found.batch["c"].to_pylist()[:3] == [-1, -1, -1]
    assert found.batch["c"].to_pylist()[4] == 1_751_371_200
