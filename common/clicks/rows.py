"""Checks on single rows of a click log, after their columns have the contract's types."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from common.arrays import Bools
from common.days import SECONDS_PER_DAY, first_second
from schemas.contract import Contract

EARLIEST, LATEST = first_second(date(1990, 1, 1)), first_second(date(2100, 1, 1))
NO_CONVERSION = -1
LARGEST_WEIGHT = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Fault:
    """A rule that some rows break.

    Attributes:
      column: the column at fault.
      wanted: what the rule asks for.
      rows: bool [n], true where a row breaks it.
    """

    column: str
    wanted: str
    rows: Bools


def find_faults(batch: pa.RecordBatch, contract: Contract) -> list[Fault]:
    """Rules of the contract that rows of the batch break; none when all rows are sound.

    Args:
      batch: columns of `contract.log_columns`: strings, floats, and int64 times in seconds. Floats
        may be left out.
    """
    roles = contract.roles
    time, label = _ints(batch, roles.timestamp), _ints(batch, roles.label)
    faults = [
        Fault(roles.timestamp, "a time of the click, not null", _nulls(batch, roles.timestamp)),
        Fault(
            roles.timestamp,
            "seconds since 1970-01-01 between the years 1990 and 2100 (milliseconds? set "
            "`timestamp_unit` in the contract)",
            (time != NO_CONVERSION) & ((time < EARLIEST) | (time >= LATEST)),
        ),
        Fault(roles.label, "0 or 1", _nulls(batch, roles.label) | ~np.isin(label, (0, 1))),
    ]
    for column in roles.setup:
        empty = pc.fill_null(pc.equal(batch.column(column), ""), True)
        faults.append(Fault(column, "a value, since it is part of the setup", _bools(empty)))
    if roles.conversion_timestamp is not None:
        conversion = _ints(batch, roles.conversion_timestamp)
        faults += [
            Fault(
                roles.conversion_timestamp,
                f"a time of the conversion where {roles.label} is 1",
                (label == 1) & (conversion < 0),
            ),
            Fault(
                roles.conversion_timestamp,
                f"a conversion no earlier than the click ({roles.timestamp})",
                (conversion >= 0) & (conversion < time),
            ),
        ]
    if roles.weight is not None and roles.weight in batch.schema.names:
        weight = pc.fill_null(batch.column(roles.weight), np.nan).to_numpy()
        unsound = ~((weight >= 0) & (weight <= LARGEST_WEIGHT))
        faults.append(Fault(roles.weight, "a weight, a finite number of 0 or more", unsound))
    return [fault for fault in faults if fault.rows.any()]


def conversion_times(
    batch: pa.RecordBatch, contract: Contract, as_of: int
) -> npt.NDArray[np.int64]:
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


def _ints(batch: pa.RecordBatch, column: str) -> npt.NDArray[np.int64]:
    filled: npt.NDArray[np.int64] = pc.fill_null(batch.column(column), NO_CONVERSION).to_numpy()
    return filled


def _nulls(batch: pa.RecordBatch, column: str) -> Bools:
    return _bools(batch.column(column).is_null())


def _bools(values: pa.Array) -> Bools:
    plain: Bools = values.to_numpy(zero_copy_only=False)
    return plain.astype(bool)
