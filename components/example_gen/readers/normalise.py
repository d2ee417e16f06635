"""Brings the columns of a log to the types of the contract."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from common.clicks.rows import NO_CONVERSION, Fault, find_faults
from components.example_gen.readers.source import TORN
from schemas.contract import Contract
from schemas.errors import InputError

PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_TEXTS = (pa.binary(), pa.large_binary(), pa.string(), pa.large_string())
_NANOSECONDS = r"(:[0-9]{2}\.[0-9]{6})[0-9]{1,3}(Z|[+-][0-9:]+)?$"
"""The end of a date-time, its digits after the microseconds in no group."""


@dataclass(frozen=True)
class Normalised:
    """Rows with the contract's types.

    Attributes:
      batch: strings, floats (float64) and int64 as the contract has them; times in whole seconds.
      faults: values that could not be read as their column's type, and are null in the batch.
      torn: rows whose values could not be told apart; None where all could.
      labels: text [n], as the log names them; None where the contract does not name any.
    """

    batch: pa.RecordBatch
    faults: tuple[Fault, ...]
    torn: Fault | None = None
    labels: pa.Array | None = None

    def broken_rules(self, contract: Contract) -> list[Fault]:
        """Rules that rows break, those of the contract among them; a torn row breaks no other."""
        faults = [*self.faults, *find_faults(self.batch, contract)]
        if self.torn is None:
            return faults
        kept = (replace(fault, rows=fault.rows & ~self.torn.rows) for fault in faults)
        return [self.torn, *(fault for fault in kept if fault.rows.any())]


@dataclass(frozen=True)
class _Read:
    """A column's values, null where there is none or where it cannot be read; and which are none.

    Attributes:
      none: bool [n], true where the file says that there is no value.
    """

    values: pa.Array
    none: pa.Array


def normalise(batch: pa.RecordBatch, contract: Contract, path: str) -> Normalised:
    """A batch of the log in the types of the contract.

    Args:
      path: names the file in errors.

    Raises:
      InputError: a column holds a type that cannot be read as the one wanted.
    """
    columns, faults, labels = [], [], None
    for name in contract.log_columns:
        column = batch.column(batch.schema.get_field_index(name))
        wanted, read = _reader(name, contract)
        try:
            read_column = read(column)
        except (pa.ArrowException, TypeError) as error:
            raise InputError(
                f"{path}: column {name}: seen type {column.type}, wanted {wanted} ({error})"
            ) from error
        values = read_column.values
        unread = pc.and_(values.is_null(), pc.invert(read_column.none))
        if pc.any(unread).as_py():
            raw = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
            faults.append(Fault(name, wanted, unread.to_numpy(zero_copy_only=False), raw=raw))
        if name == contract.roles.label and isinstance(contract.positive_labels, tuple):
            labels = _strings(_as_words(column)).values if contract.positive_labels else None
        if name == contract.roles.conversion_timestamp:
            there = pc.and_kleene(values.is_valid(), pc.not_equal(values, 0))
            values = pc.if_else(there, values, NO_CONVERSION)
        columns.append(values)
    whole = pa.RecordBatch.from_arrays(columns, list(contract.log_columns))
    return Normalised(whole, tuple(faults), _torn(batch), labels)


def _torn(batch: pa.RecordBatch) -> Fault | None:
    place = batch.schema.get_field_index(TORN)
    if place < 0:
        return None
    seen = batch.column(place)
    rows = seen.is_valid().to_numpy(zero_copy_only=False)
    return Fault("", "one value for each column", rows, raw=seen)


def _reader(name: str, contract: Contract) -> tuple[str, Callable[[pa.Array], _Read]]:
    """What a column's values should be in words, and what reads them."""
    roles, text = contract.roles, contract.input.format == "csv"
    if name in (roles.timestamp, roles.conversion_timestamp):
        unit = contract.timestamp_unit
        zone = contract.timestamp_zone
        if unit == "iso":
            wanted = "a date-time with its zone such as 2026-01-31T12:00:00Z"
            if zone is None:
                wanted += " (none has a zone? set `timestamp_zone` in the contract)"
            return wanted, lambda column: _date_times(column, zone)
        wanted = f"a whole number, a time in {unit} since 1970-01-01"
        if text:
            wanted += (
                ", without an exponent (a date-time? set `timestamp_unit: iso` in the contract)"
            )
        return wanted, lambda column: _seconds(column, PER_SECOND[unit], text, zone)
    if name == roles.label and contract.positive_labels:
        return _labels(contract.positive_labels, text)
    if name in contract.string_columns:
        wanted = "a string or a whole number, text in UTF-8"
        if text:
            wanted += " (another encoding? set `input.csv.encoding` in the contract)"
        return wanted, _strings
    if name in contract.float_columns:
        # A feature's NaN says that there is none, as Spark and Polars write it; money that is no
        # number is a fault.
        keep = name in (roles.spend, roles.weight)
        return "a number", lambda column: _floats(column, text, keep)
    return "a whole number", lambda column: _integers(column, text)


def click_seconds(column: pa.Array, contract: Contract) -> pa.Array:
    """Click times as whole seconds since 1970-01-01, null where they cannot be read.

    Raises:
      TypeError, pa.ArrowException: the column's type is none of times.
    """
    return _reader(contract.roles.timestamp, contract)[1](column).values


def _labels(
    positive: Literal["above_zero"] | tuple[str, ...], text: bool
) -> tuple[str, Callable[[pa.Array], _Read]]:
    """As `_reader`, of a label whose values stand for 0 and 1; a null stands for 0."""
    if positive == "above_zero":

        def above(column: pa.Array) -> _Read:
            read = _floats(column, text, keep_nan=False)
            ones = pc.if_else(read.none, False, pc.greater(read.values, 0))
            ones = pc.if_else(pc.fill_null(pc.is_inf(read.values), False), None, ones)
            return _Read(ones.cast(pa.int64()), column.is_null())

        return "a number", above

    def among(column: pa.Array) -> _Read:
        values = _strings(_as_words(column)).values
        ones = pc.is_in(values, value_set=pa.array(positive, pa.string()))
        return _Read(ones.cast(pa.int64()), column.is_null())

    return "a string, a whole number or a bool", among


def _as_words(column: pa.Array) -> pa.Array:
    return column.cast(pa.string()) if pa.types.is_boolean(column.type) else column


def _seconds(column: pa.Array, per_second: int, text: bool, zone: str | None) -> _Read:
    if pa.types.is_temporal(column.type):
        return _moments(column, zone)
    if pa.types.is_floating(column.type) and column.type != pa.float64():
        raise TypeError("it holds times to a minute or worse; wanted int64 or float64")
    if text and column.type in _TEXTS:
        column = _without_exponents(column)
    read = _integers(column, text, whole=False)
    none = pc.equal(read.values, NO_CONVERSION)
    return _Read(pc.if_else(none, NO_CONVERSION, pc.divide(read.values, per_second)), read.none)


def _without_exponents(column: pa.Array) -> pa.Array:
    """Text with words in the place of `1.76728E+09`, which a spreadsheet has rounded to hours."""
    text = _utf8(column)
    exponents = pc.match_substring_regex(text, r"^\s*[+-]?[0-9.]+[eE]")
    return pc.if_else(exponents, "rounded", text) if pc.any(exponents).as_py() else text


def _date_times(column: pa.Array, zone: str | None) -> _Read:
    if pa.types.is_temporal(column.type):
        return _moments(column, zone)
    if column.type not in _TEXTS and not pa.types.is_null(column.type):
        raise TypeError("`timestamp_unit: iso` is for text")
    # Nanoseconds wrap around in 1677 and 2262, and only they would read nine digits of a second.
    text = pc.replace_substring_regex(_utf8(column), _NANOSECONDS, r"\1\2")
    kinds = [pa.timestamp("us", "UTC")]
    if zone is not None:
        kinds.append(pa.timestamp("us"))
    seconds = pa.nulls(len(text), pa.int64())
    for kind in kinds:
        if seconds.null_count > text.null_count:
            seconds = pc.coalesce(seconds, _moments(cast_or_null(text, kind), zone).values)
    return _Read(seconds, column.is_null())


def date_times(text: pa.Array, zone: str | None) -> pa.Array:
    """Whole seconds since 1970-01-01 UTC of date-times in ISO 8601, null where there is none.

    Args:
      zone: of those that name none, which are null when None.
    """
    return _date_times(text, zone).values


def _moments(column: pa.Array, zone: str | None) -> _Read:
    """Whole seconds since 1970-01-01 UTC of timestamps or dates.

    Args:
      zone: of those that name none; UTC when None.
    """
    if not (pa.types.is_timestamp(column.type) or pa.types.is_date(column.type)):
        raise TypeError("not a time with its date")
    moments = column.cast(pa.timestamp("s", getattr(column.type, "tz", None)), safe=False)
    if zone is not None and moments.type.tz is None:
        moments = pc.assume_timezone(moments, zone, ambiguous="earliest", nonexistent="earliest")
    return _Read(moments.cast(pa.int64()), column.is_null())


def _strings(column: pa.Array) -> _Read:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _strings(column.dictionary_decode())
    if pa.types.is_floating(kind) or pa.types.is_nested(kind) or pa.types.is_temporal(kind):
        raise TypeError("keys and categories have exact values")
    values = _utf8(column) if kind in _TEXTS else column.cast(pa.string())
    return _Read(values, column.is_null())


def _integers(column: pa.Array, text: bool, whole: bool = True) -> _Read:
    """int64 values; of a float, which NaN stands for none in, the part before the point.

    Args:
      text: whether numbers may be text.
      whole: whether a float must be a whole number.
    """
    if text and column.type in _TEXTS:
        trimmed = decimal_only(pc.utf8_trim_whitespace(_utf8(column)))
        try:
            return _Read(trimmed.cast(pa.int64()), column.is_null())
        except pa.ArrowInvalid:
            # pandas writes the whole numbers of a column with gaps as 7.0.
            floats = cast_or_null(trimmed, pa.float64())
            rounded = _integers(floats, False, whole).values
            none = pc.or_(column.is_null(), _is_nan(floats))
            return _Read(pc.coalesce(cast_or_null(trimmed, pa.int64()), rounded), none)
    _refuse_others(column.type)
    if not pa.types.is_floating(column.type):
        return _Read(cast_or_null(column, pa.int64()), column.is_null())
    floats = column.cast(pa.float64())
    sized = pc.less(pc.abs(floats), 2.0**62)
    if whole:
        sized = pc.and_(sized, pc.equal(floats, pc.floor(floats)))
    kept = pc.if_else(pc.fill_null(sized, False), pc.floor(floats), None)
    return _Read(kept.cast(pa.int64()), pc.or_(column.is_null(), _is_nan(floats)))


def _floats(column: pa.Array, text: bool, keep_nan: bool) -> _Read:
    if text and column.type in _TEXTS:
        floats = cast_or_null(pc.utf8_trim_whitespace(_utf8(column)), pa.float64())
    else:
        _refuse_others(column.type)
        floats = cast_or_null(column, pa.float64())
    if keep_nan:
        return _Read(floats, column.is_null())
    nan = _is_nan(floats)
    return _Read(pc.if_else(nan, None, floats), pc.or_(column.is_null(), nan))


def decimal_only(text: pa.Array) -> pa.Array:
    """Text with null in the place of `0x1F`, which Arrow reads as a whole number and nobody wrote
    as one."""
    hexadecimal = pc.or_(pc.starts_with(text, "0x"), pc.starts_with(text, "0X"))
    return pc.if_else(hexadecimal, None, text) if pc.any(hexadecimal).as_py() else text


def _is_nan(floats: pa.Array) -> pa.Array:
    return pc.fill_null(pc.is_nan(floats), False)


def _refuse_others(kind: pa.DataType) -> None:
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    if not (number or pa.types.is_decimal(kind) or pa.types.is_null(kind)):
        raise TypeError("not a number")


def _utf8(column: pa.Array) -> pa.Array:
    """Text as strings; null where the bytes are not UTF-8."""
    return cast_or_null(column.cast(pa.binary()), pa.string())


def cast_or_null(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """The column in another type; null where a value cannot be."""
    try:
        return column.cast(kind)
    except pa.ArrowInvalid:
        # Whole columns convert at once; only on failure is each value tried.
        return pa.array([_one(value, kind) for value in column], kind)


def _one(value: pa.Scalar, kind: pa.DataType) -> object:
    try:
        return pa.array([value.as_py()], value.type).cast(kind)[0].as_py()
    except pa.ArrowInvalid:
        return None
