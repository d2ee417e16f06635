"""Checks on single rows of a click log, after their columns have the contract's types."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from common.arrays import Bools, Ints
from common.days import FIRST_DAY, LAST_DAY, SECONDS_PER_DAY, first_second
from common.pages.text import counted
from schemas.contract import Contract

EARLIEST, LATEST = first_second(FIRST_DAY), first_second(LAST_DAY)
NO_CONVERSION = -1
LONGEST_SHOWN = 80
"""Characters of a value in an error."""
LARGEST_FLOAT = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Fault:
    """A rule that some rows break.

    Attributes:
      column: the column at fault; empty for the row as a whole.
      wanted: what the rule asks for.
      rows: bool [n], true where a row breaks it.
      beside: another column that the rule looks at; empty for none.
      raw: the values as the file has them, [n]; None where the batch holds them. Of whole rows,
        what was seen in words.
    """

    column: str
    wanted: str
    rows: Bools
    beside: str = ""
    raw: pa.Array | None = None

    def words(self, batch: pa.RecordBatch, row: int) -> str:
        """What is wrong with a row that breaks it: column, value seen, value wanted."""
        if not self.column and self.raw is not None:
            return f"seen {self.raw[row].as_py()}, wanted {self.wanted}"
        seen = _shown((batch.column(self.column) if self.raw is None else self.raw)[row])
        if self.beside:
            seen = f"{seen} beside {self.beside} {_shown(batch.column(self.beside)[row])}"
        return f"column {self.column}: seen {seen}, wanted {self.wanted}"

    @property
    def rule(self) -> str:
        """The rule in words."""
        return f"{self.column or 'row'}: wanted {self.wanted}"


def first_in_words(faults: Sequence[Fault], batch: pa.RecordBatch, path: str, before: int) -> str:
    """The first row that breaks a rule, and the first rule that it breaks.

    Args:
      faults: at least one.
      path: the file.
      before: its rows before the batch.
    """
    first = min(faults, key=lambda fault: int(fault.rows.argmax()))
    row = int(first.rows.argmax())
    return f"{path}: row {before + row + 1}, {first.words(batch, row)}"


def _shown(value: pa.Scalar) -> str:
    """The value as Python writes it, bytes that are UTF-8 as text."""
    text = value.is_valid and hasattr(value, "as_buffer")
    plain = value.as_buffer().to_pybytes() if text else value.as_py()
    if isinstance(plain, bytes):
        with suppress(UnicodeDecodeError):
            plain = plain.decode()
    shown = repr(plain)
    return shown if len(shown) <= LONGEST_SHOWN else f"{shown[:LONGEST_SHOWN]}..."


def find_faults(batch: pa.RecordBatch, contract: Contract) -> list[Fault]:
    """Rules of the contract that rows of the batch break; none when all rows are sound.

    Args:
      batch: columns of `contract.log_columns`: strings, floats, and int64 times in seconds. Floats
        may be left out.
    """
    roles = contract.roles
    label = _ints(batch, roles.label)
    no_time = _nulls(batch, roles.timestamp)
    faults = [
        Fault(roles.timestamp, "a time of the click, not null", no_time),
        Fault(
            roles.timestamp,
            "seconds since 1970-01-01 between the years 1990 and 2100 (milliseconds? set "
            "`timestamp_unit` in the contract)",
            ~no_time & ~_in_range(_ints(batch, roles.timestamp)),
        ),
        Fault(roles.label, "0 or 1", _nulls(batch, roles.label) | ~np.isin(label, (0, 1))),
    ]
    for column in roles.setup:
        empty = pc.fill_null(pc.equal(batch.column(column), ""), True)
        faults.append(Fault(column, "a value, since it is part of the setup", _bools(empty)))
    if roles.conversion_timestamp is not None:
        faults += _conversion_faults(batch, contract, roles.conversion_timestamp)
    faults += [_number_fault(batch, c, contract) for c in contract.float_columns if c in _of(batch)]
    return [fault for fault in faults if fault.rows.any()]


def _conversion_faults(batch: pa.RecordBatch, contract: Contract, column: str) -> list[Fault]:
    """Rules of the conversion time, of which a row breaks at most one."""
    roles, days = contract.roles, contract.attribution_window_days
    time, label = _ints(batch, roles.timestamp), _ints(batch, roles.label)
    conversion = _ints(batch, column)
    there = conversion != NO_CONVERSION
    possible = _in_range(conversion)
    before = there & possible & (conversion < time)
    late = conversion >= window_end(time, days)
    counts = there & possible & ~before & ~late
    within = f"at most {counted(days, 'day')} after" if days else "on the day (UTC) of"
    return [
        Fault(column, f"a time of the conversion where {roles.label} is 1", (label == 1) & ~there),
        Fault(
            column,
            f"a time between the years 1990 and 2100 in the unit of {roles.timestamp}, or -1 or "
            "null where there is no conversion",
            there & ~possible,
            roles.timestamp,
        ),
        Fault(
            column,
            f"a conversion no earlier than the click ({roles.timestamp})",
            before,
            roles.timestamp,
        ),
        Fault(
            column,
            f"a conversion {within} the click ({roles.timestamp}), the attribution "
            f"window, where {roles.label} is 1",
            (label == 1) & there & possible & late,
            roles.timestamp,
        ),
        Fault(
            roles.label,
            f"1 where {column} is a time inside the attribution window of {counted(days, 'day')}",
            (label == 0) & counts,
            column,
        ),
    ]


def window_end(time: Ints, days: int) -> Ints:
    """The first second after the attribution window of clicks, in seconds as they are: that many
    times 24 hours, or with 0 days the rest of the click's day."""
    if days:
        return time + days * SECONDS_PER_DAY + 1
    end: Ints = (time // SECONDS_PER_DAY + 1) * SECONDS_PER_DAY
    return end


def _number_fault(batch: pa.RecordBatch, column: str, contract: Contract) -> Fault:
    values = batch.column(column)
    numbers = pc.fill_null(values, np.nan).to_numpy()
    sized = np.abs(numbers) <= LARGEST_FLOAT
    if column == contract.roles.weight:
        return Fault(column, "a weight, a finite number of 0 or more", ~(sized & (numbers >= 0)))
    there = ~_nulls(batch, column)
    if column == contract.roles.spend:
        return Fault(column, "a finite number of 0 or more", there & ~(sized & (numbers >= 0)))
    return Fault(column, "a finite number that float32 can hold", there & ~sized)


def conversion_times(batch: pa.RecordBatch, contract: Contract, as_of: int) -> Ints:
    """When each click's conversion was observed, -1 where none was before `as_of` (seconds).

    In a log without conversion times a conversion counts from the end of the attribution window,
    the first moment at which it is surely known.
    """
    roles = contract.roles
    if roles.conversion_timestamp is None:
        when = _ints(batch, roles.timestamp) + contract.attribution_window_days * SECONDS_PER_DAY
    else:
        when = _ints(batch, roles.conversion_timestamp)
    observed = (_ints(batch, roles.label) == 1) & (when < as_of)
    return np.where(observed, when, NO_CONVERSION)


def _of(batch: pa.RecordBatch) -> list[str]:
    names: list[str] = batch.schema.names
    return names


def _in_range(times: Ints) -> Bools:
    inside: Bools = (times >= EARLIEST) & (times < LATEST)
    return inside


def _ints(batch: pa.RecordBatch, column: str) -> Ints:
    filled: Ints = pc.fill_null(batch.column(column), NO_CONVERSION).to_numpy()
    return filled


def _nulls(batch: pa.RecordBatch, column: str) -> Bools:
    return _bools(batch.column(column).is_null())


def _bools(values: pa.Array) -> Bools:
    plain: Bools = values.to_numpy(zero_copy_only=False)
    return plain.astype(bool)
