"""Sides that a person has decided, from a reviewed file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import StringConstraints
from pydantic import model_validator as validator

from common.days import to_day
from schemas.base import Frozen
from schemas.checked import checked_yaml
from schemas.errors import InputError
from schemas.setup_id import checked_values

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]

HARD, SOFT, FREE = 1, 0, -1


class Pin(Frozen):
    """A setup's side for the days from `since` up to, not including, `expires`."""

    setup: Text
    """Setup id, as `schemas.setup_id` makes it."""
    side: Literal["hard", "soft"]
    reviewed_by: Text
    reason: Text
    expires: date
    since: date | None = None
    """First day; null for every day before `expires`."""

    @validator(mode="after")
    def _lasts(self) -> Pin:
        if self.since is not None and self.since >= self.expires:
            raise ValueError(f"expires {self.expires} is not after since {self.since}")
        return self

    def holds(self, day: int) -> bool:
        """Whether it applies on a day (days since 1970-01-01)."""
        return (self.since is None or to_day(self.since) <= day) and day < to_day(self.expires)


class PinsFile(Frozen):
    """Contents of a pins file."""

    pins: tuple[Pin, ...]

    @validator(mode="after")
    def _once(self) -> PinsFile:
        refuse_double_pins(self.pins)
        return self


def refuse_double_pins(pins: Sequence[Pin]) -> None:
    """
    Raises:
      ValueError: two pins of one setup share a day.
    """
    last: dict[str, Pin] = {}
    for pin in sorted(pins, key=lambda p: (p.setup, p.since or date.min)):
        before = last.get(pin.setup)
        if before is not None and (pin.since is None or pin.since < before.expires):
            raise ValueError(f"setup {pin.setup!r} is pinned twice before {before.expires}")
        last[pin.setup] = pin


def refuse_strange_pins(pins: Sequence[Pin], columns: Sequence[str]) -> None:
    """
    Args:
      columns: those that make a setup.

    Raises:
      InputError: a pin's setup is none that these columns can make, so that it would pin nothing.
    """
    for pin in pins:
        try:
            checked_values(pin.setup, columns)
        except ValueError as error:
            raise InputError(f"pins: setup {error}") from None


def read_pins(path: Path) -> tuple[Pin, ...]:
    """Pins of a YAML file: a list `pins` of setup, side, reviewed_by, reason, expires and, where
    wanted, since.

    Raises:
      InputError: no file, not YAML, or a broken pin.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"pins_file: {path}: {error.strerror}; wanted a YAML list `pins`"
        ) from None
    return checked_yaml(PinsFile, text, str(path)).pins


def pinned_sides(
    pins: Sequence[Pin], setups: Sequence[str], first_day: int, days: int
) -> npt.NDArray[np.int8]:
    """`HARD`, `SOFT` or `FREE` of every setup on every day, int8 [R, D].

    Args:
      first_day: day of the first column, days since 1970-01-01.
    """
    sides = np.full((len(setups), days), FREE, np.int8)
    row = {setup: i for i, setup in enumerate(setups)}
    for pin in pins:
        if pin.setup in row:
            start = 0 if pin.since is None else max(0, to_day(pin.since) - first_day)
            end = max(0, to_day(pin.expires) - first_day)
            sides[row[pin.setup], start:end] = HARD if pin.side == "hard" else SOFT
    return sides
