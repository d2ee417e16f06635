"""The one date that decides what a run may see."""

from __future__ import annotations

from datetime import UTC, date, datetime

from schemas.errors import InputError


def resolve_as_of(as_of: str, now: datetime | None = None) -> date:
    """The date given, or today's (UTC) when it is empty.

    A run sees events before 00:00 UTC of this day.

    Raises:
      InputError: not an ISO date.
    """
    if not as_of:
        return (now or datetime.now(UTC)).date()
    try:
        return date.fromisoformat(as_of)
    except ValueError:
        raise InputError(f"as_of: seen {as_of!r}, wanted a date such as 2026-01-31") from None
