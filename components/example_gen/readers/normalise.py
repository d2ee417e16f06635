"""Brings the columns of a log to the types of the contract."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from common.clicks.rows import NO_CONVERSION
from schemas.contract import Contract
from schemas.errors import InputError

PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def normalise(batch: pa.RecordBatch, contract: Contract, path: str) -> pa.RecordBatch:
    """Strings, floats (float64) and int64 as the contract has them; times in whole seconds.

    Args:
      path: names the file in errors.

    Raises:
      InputError: a column holds a type that cannot be read as the one wanted.
    """
    roles = contract.roles
    times = {roles.timestamp, roles.conversion_timestamp}
    columns = []
    for name in contract.log_columns:
        column = batch.column(batch.schema.get_field_index(name))
        try:
            if name in times:
                column = seconds(column, contract.timestamp_unit)
            elif name in contract.string_columns:
                column = _strings(column)
            elif name in contract.float_columns:
                column = _numbers(column, pa.float64())
            else:
                column = _numbers(column, pa.int64())
        except (pa.ArrowException, TypeError) as error:
            wanted = _wanted(name, contract)
            raise InputError(
                f"{path}: column {name}: seen type {column.type}, wanted {wanted} ({error})"
            ) from error
        if name == roles.conversion_timestamp:
            column = pc.fill_null(column, NO_CONVERSION)
            column = pc.if_else(pc.less(column, 0), NO_CONVERSION, column)
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, list(contract.log_columns))


def _wanted(name: str, contract: Contract) -> str:
    if name in contract.string_columns:
        return "a string or a whole number"
    if name in contract.float_columns:
        return "a number"
    return "a whole number"


def seconds(column: pa.Array, unit: str) -> pa.Array:
    """Times as whole seconds since 1970-01-01; numbers are in the unit.

    Raises:
      TypeError: the column holds neither times nor numbers.
    """
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("s"), safe=False).cast(pa.int64())
    if pa.types.is_date(column.type):
        return column.cast(pa.timestamp("s")).cast(pa.int64())
    values = _numbers(column, pa.int64())
    if unit == "s":
        return values
    return pc.if_else(pc.less(values, 0), NO_CONVERSION, pc.divide(values, PER_SECOND[unit]))


def _strings(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _strings(column.dictionary_decode())
    if pa.types.is_floating(kind) or pa.types.is_nested(kind) or pa.types.is_temporal(kind):
        raise TypeError("keys and categories have exact values")
    return column.cast(pa.string())


def _numbers(column: pa.Array, wanted: pa.DataType) -> pa.Array:
    kind = column.type
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    if not (number or pa.types.is_decimal(kind) or pa.types.is_null(kind)):
        raise TypeError("not a number")
    return column.cast(wanted)
