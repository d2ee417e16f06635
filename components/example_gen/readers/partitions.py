"""Files of a pattern with daily partitions, by day."""

from __future__ import annotations

import glob
from datetime import date
from pathlib import Path

from common.days import to_day
from components.example_gen.readers.head import is_log_file
from components.example_gen.readers.source import Window
from schemas.errors import InputError


def window_files(root: Path, pattern: str, window: Window) -> tuple[str, ...]:
    """Files of the window's partitions, or all that match when the pattern has none.

    A log may begin inside the window; from its first partition on, every day must have one.

    Args:
      root: folder that a relative pattern starts from.
      pattern: glob with `{YYYY}`, `{MM}`, `{DD}` or `{SPAN}` where the day stands.

    Raises:
      InputError: nothing matches, a day after the first partition has no file, or what matches
        is no file.
    """
    whole = _glob(root, pattern)
    if not is_partitioned(pattern):
        matching = _matching(whole)
        if not matching:
            raise InputError(f"input: no file matches {root / pattern}")
        return tuple(matching)
    first = first_partition(root, pattern, window)
    by_day = {day: _matching(_of_day(whole, day)) for day in window.days if day >= first}
    for day, files in by_day.items():
        if not files:
            raise InputError(
                f"input: the partition of {day} is missing: no file matches "
                f"{_of_day(str(root / pattern), day)}; the log begins on {first} and the window "
                f"ends on {window.days[-1]}"
            )
    return tuple(f for files in by_day.values() for f in files)


def first_partition(root: Path, pattern: str, window: Window) -> date:
    """The first day of the window that a partitioned log has files of.

    Args: see `window_files`.

    Raises:
      InputError: there is none.
    """
    whole = _glob(root, pattern)
    for day in window.days:
        if _matching(_of_day(whole, day)):
            return day
    raise InputError(
        f"input: no file matches {root / pattern} for any day of {window.start} .. "
        f"{window.days[-1]}"
    )


def is_partitioned(pattern: str) -> bool:
    """Whether the pattern names days."""
    return "{YYYY}" in pattern or "{SPAN}" in pattern


def _glob(root: Path, pattern: str) -> str:
    """The pattern alone is a glob; the root is a folder, whatever its name."""
    return pattern if Path(pattern).is_absolute() else str(Path(glob.escape(str(root))) / pattern)


def _of_day(pattern: str, day: date) -> str:
    parts = {
        "{YYYY}": f"{day.year:04d}",
        "{MM}": f"{day.month:02d}",
        "{DD}": f"{day.day:02d}",
        "{SPAN}": str(to_day(day)),
    }
    for mark, value in parts.items():
        pattern = pattern.replace(mark, value)
    return pattern


def _matching(pattern: str) -> list[str]:
    found = sorted(glob.glob(pattern, recursive=True))
    return [path for path in found if is_log_file(Path(path), folders="**" in pattern)]
