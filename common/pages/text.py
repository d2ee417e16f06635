"""Numbers as people read them; a dash stands for a value that is missing or not defined."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

DASH = "\N{EN DASH}"


def count(value: float | None) -> str:
    """Thousands separators: 12345 -> `12,345`."""
    return DASH if value is None else f"{value:,.0f}"


def counted(number: float | None, noun: str) -> str:
    """`1 day`, `12,345 days`; of nouns that take an s.

    >>> counted(1, "row"), counted(0, "row")
    ('1 row', '0 rows')
    """
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"


def decimal(value: float | None, places: int = 4) -> str:
    return DASH if _missing(value) else f"{value:.{places}f}"


def signed(value: float | None, places: int = 4) -> str:
    return DASH if _missing(value) else f"{value:+.{places}f}"


def between(low: float | None, high: float | None, show: Callable[[float], str] = signed) -> str:
    """`[+0.0109, +0.0433]`; the empty string where an end is missing."""
    return "" if low is None or high is None else f"[{show(low)}, {show(high)}]"


def share(value: float | None) -> str:
    """A fraction as a percentage with three significant digits: 0.00123 -> `0.123%`."""
    if value is None or _missing(value):
        return DASH
    return f"{np.format_float_positional(value * 100, 3, fractional=False, trim='-')}%"


def ratio(part: float | None, whole: float | None) -> str:
    """`part` of `whole` as a percentage."""
    return share(part / whole) if part is not None and whole else DASH


def size(value: float | None) -> str:
    """Bytes: 1536000 -> `1.5 MB`."""
    if value is None:
        return DASH
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} GB"


def duration(seconds: float) -> str:
    """`45 s`, `12 min`, `3.5 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"


def anything(value: Any) -> str:
    """A value of any type: whole numbers with separators, others with four decimals."""
    if value is None:
        return DASH
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return count(value) if float(value).is_integer() else decimal(value)


def _missing(value: float | None) -> bool:
    return value is None or math.isnan(value)
