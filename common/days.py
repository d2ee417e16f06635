"""Days as whole numbers since 1970-01-01 UTC, the form that arrays hold."""

from __future__ import annotations

from datetime import date, timedelta

EPOCH = date(1970, 1, 1)
SECONDS_PER_DAY = 86_400
FIRST_DAY, LAST_DAY = date(1990, 1, 1), date(2100, 1, 1)
"""Clicks lie from the first of these days to before the last."""


def to_day(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - EPOCH).days


def first_second(day: date) -> int:
    """Seconds from 1970-01-01 to the day's start, UTC."""
    return to_day(day) * SECONDS_PER_DAY


def to_date(day: int) -> date:
    """The inverse of `to_day`."""
    return EPOCH + timedelta(days=int(day))
