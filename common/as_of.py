"""The one date that decides what a run may see."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from common.days import FIRST_DAY, LAST_DAY
from schemas.errors import InputError

if TYPE_CHECKING:
    from tfx.types import Artifact

PROPERTY = "as_of"
"""Custom property of what ingest writes: the date that the run's ingest has settled on."""


def resolve_as_of(as_of: str, now: datetime | None = None) -> date:
    """The date given, or today's (UTC) when it is empty; raises as `checked_day`.

    A run sees events before 00:00 UTC of this day.
    """
    if not as_of:
        return (now or datetime.now(UTC)).date()
    return checked_day(as_of, "as_of")


def checked_day(text: str, setting: str) -> date:
    """The date that a setting names.

    Raises:
      InputError: not an ISO date, or one outside the years that clicks may have.
    """
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise InputError(f"{setting}: seen {text!r}, wanted a date such as 2026-01-31") from None
    if not FIRST_DAY < day <= LAST_DAY:
        raise InputError(f"{setting}: seen {text!r}, wanted a date from 1990 to 2100")
    return day


def record_as_of(artifact: Artifact, as_of: date) -> None:
    """Notes the date for all later stages, which might run after the next midnight."""
    artifact.set_string_custom_property(PROPERTY, as_of.isoformat())


def recorded_as_of(artifact: Artifact) -> str:
    """What `record_as_of` noted; empty for what another component has written."""
    return str(artifact.get_string_custom_property(PROPERTY))
