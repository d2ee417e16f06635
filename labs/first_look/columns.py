"""What a column holds, by its values."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from common.arrays import Bools, Floats, Ints
from common.days import FIRST_DAY, LAST_DAY, SECONDS_PER_DAY, first_second
from components.example_gen.readers.normalise import PER_SECOND, cast_or_null, date_times

Kind = Literal["moment", "flag", "integer", "number", "text", "nested", "empty"]

TRIED = 300
"""Values that are tried before a whole column is read as another type."""
MOST_FAULTS = 0.02
"""Share of values that may not be of the type that the others have."""
LONGEST_LOG_DAYS = 366 * 6
"""A whole number of a wider range than this, read as a time, is an id and no time."""
NO_TIME = (0, -1)
"""Numbers that stand for no time."""
TRUE_WORDS = ("1", "true", "yes", "y", "t")
FALSE_WORDS = ("0", "false", "no", "n", "f", "none", "null", "-1")
_OTHER_DATE = re.compile(r"\d{1,4}[./]\d{1,2}[./]\d{1,4}\b")


@dataclass(frozen=True)
class Moments:
    """A column read as times.

    Attributes:
      seconds: float64 [n] since 1970-01-01 UTC, NaN where there is none.
      unit: of the contract's `timestamp_unit`; empty for Arrow timestamps, which need none.
      zone: whether the values name their zone, or are numbers, which need none.
    """

    seconds: Floats
    unit: str
    zoned: bool


@dataclass(frozen=True)
class Column:
    """A column of the sample.

    Attributes:
      code: int64 [n], number of each row's value in the order of their first rows, -1 for none.
      distinct: values.
      number: float64 [n], NaN where there is none or no number; None of text.
      moments: None of all but times.
      words: the values as text, for columns of few.
      exact: whether the values can be keys: text, whole numbers, and no floats.
      oddity: what a person should know of it; empty for nothing.
    """

    name: str
    kind: Kind
    code: Ints
    distinct: int
    number: Floats | None = None
    moments: Moments | None = None
    words: tuple[str, ...] = ()
    exact: bool = True
    oddity: str = ""

    @property
    def there(self) -> Bools:
        """bool [n], rows that have a value; of a time, one other than 0 and -1."""
        if self.moments is not None:
            return ~np.isnan(self.moments.seconds)
        return self.code >= 0

    @property
    def filled(self) -> float:
        """Share of the rows that have a value."""
        return float(self.there.mean()) if len(self.code) else 0.0


MOST_WORDS = 64


def look_at(table: pa.Table, typed: bool) -> Mapping[str, Column]:
    """Every column of a sample.

    Args:
      typed: whether the files have types, so that text in them is never read as a number.
    """
    return {name: _look(name, _flat(table[name]), typed) for name in table.schema.names}


def _flat(column: pa.ChunkedArray) -> pa.Array:
    whole = column.combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        whole = pa.concat_arrays(whole.chunks) if whole.num_chunks else pa.array([], whole.type)
    return whole.dictionary_decode() if pa.types.is_dictionary(whole.type) else whole


def _look(name: str, values: pa.Array, typed: bool) -> Column:
    kind = values.type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        values = cast_or_null(values, pa.string())
        kind = values.type
    if pa.types.is_nested(kind):
        return Column(name, "nested", np.zeros(len(values), np.int64), 0)
    if values.null_count == len(values):
        return Column(name, "empty", np.full(len(values), -1), 0)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        zoned = getattr(kind, "tz", None) is not None
        seconds = values.cast(pa.timestamp("us", getattr(kind, "tz", None)), safe=False)
        read = Moments(_floats(seconds.cast(pa.int64())) / 1e6, "", zoned)
        return Column(name, "moment", *_codes(values), moments=read)
    if pa.types.is_boolean(kind):
        number = _floats(values.cast(pa.int8()))
        return Column(name, "flag", *_codes(values), number=number, exact=False)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _look_at_text(name, values, typed)
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        return Column(name, "nested", np.zeros(len(values), np.int64), 0)
    return _look_at_numbers(name, values, _floats(values.cast(pa.float64(), safe=False)))


def _look_at_text(name: str, values: pa.Array, typed: bool) -> Column:
    code, distinct = _codes(values)
    words = _words(values) if distinct <= MOST_WORDS else ()
    if not typed and _all_are(values, _numbers):
        return _look_at_numbers(name, values, _floats(_numbers(values)))
    for zoned, zone in ((True, None), (False, "UTC")):
        if _all_are(values, partial(date_times, zone=zone)):
            moments = Moments(_floats(date_times(values, zone)), "iso", zoned)
            return Column(name, "moment", code, distinct, moments=moments)
    if distinct <= 2 and {w.strip().lower() for w in words} <= {*TRUE_WORDS, *FALSE_WORDS}:
        return Column(name, "flag", code, distinct, words=words)
    first = next((v for v in values.slice(0, TRIED).to_pylist() if v), "")
    oddity = ""
    if _OTHER_DATE.match(first):
        oddity = f"looks like dates that are not ISO 8601 (such as {first!r})"
    return Column(name, "text", code, distinct, words=words, oddity=oddity)


def _look_at_numbers(name: str, values: pa.Array, numbers: Floats) -> Column:
    code, distinct = _codes(values)
    words = _words(values) if distinct <= MOST_WORDS else ()
    exact = not _has_points(values)
    if (unit := _unit(numbers)) is not None:
        there = ~np.isnan(numbers) & ~np.isin(numbers, NO_TIME)
        seconds = np.where(there, numbers / PER_SECOND[unit], np.nan)
        return Column(name, "moment", code, distinct, numbers, Moments(seconds, unit, True))
    known = numbers[~np.isnan(numbers)]
    if {*np.unique(known)} <= {0.0, 1.0}:
        return Column(name, "flag", code, distinct, numbers, words=words, exact=exact)
    whole = bool(np.all(known == np.floor(known)))
    oddity = ""
    if whole and known.min() >= 19_900_101 and known.max() <= 20_991_231 and distinct < 3_000:
        oddity = "looks like days written as YYYYMMDD"
    kind: Kind = "integer" if whole and exact else "number"
    return Column(name, kind, code, distinct, numbers, None, words, exact, oddity)


def _has_points(values: pa.Array) -> bool:
    """Whether numbers are written with a decimal point, as floats are."""
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        return bool(pc.any(pc.match_substring(values, ".")).as_py())
    return not pa.types.is_integer(values.type)


def _unit(numbers: Floats) -> str | None:
    """The unit in which all numbers but those for none are times of one log."""
    known = numbers[~np.isnan(numbers) & ~np.isin(numbers, NO_TIME)]
    if not len(known):
        return None
    low, high = np.quantile(known, [MOST_FAULTS / 2, 1 - MOST_FAULTS / 2])
    for unit in PER_SECOND:
        per_day = SECONDS_PER_DAY * PER_SECOND[unit]
        start, end = (first_second(day) * PER_SECOND[unit] for day in (FIRST_DAY, LAST_DAY))
        if start <= low and high < end and (high - low) < LONGEST_LOG_DAYS * per_day:
            return unit
    return None


def _numbers(text: pa.Array) -> pa.Array:
    return cast_or_null(pc.utf8_trim_whitespace(text), pa.float64())


def _all_are(values: pa.Array, read: Callable[[pa.Array], pa.Array]) -> bool:
    """Whether nearly all values can be read, by some of them."""
    there = values.drop_null()
    some = there.take(pa.array(np.linspace(0, len(there) - 1, min(TRIED, len(there))).astype(int)))
    return bool(read(some.cast(pa.string())).null_count <= MOST_FAULTS * len(some))


def _codes(values: pa.Array) -> tuple[Ints, int]:
    encoded = values.dictionary_encode()
    code: Ints = pc.fill_null(encoded.indices, -1).to_numpy().astype(np.int64)
    return code, len(encoded.dictionary)


def _words(values: pa.Array) -> tuple[str, ...]:
    return tuple(str(v) for v in values.dictionary_encode().dictionary.to_pylist())


def _floats(values: pa.Array) -> Floats:
    numbers: Floats = pc.fill_null(values.cast(pa.float64(), safe=False), np.nan).to_numpy(
        zero_copy_only=False
    )
    return numbers
