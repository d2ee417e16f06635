"""Time as the scheduler sees it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Protocol

LONGEST_WAIT = 30.0
"""Seconds; the wall clock is looked at again then, for it may have been set or the machine have
slept."""


class Clock(Protocol):
    """The present moment, and waiting until another one."""

    def now(self) -> datetime:
        """An aware time in UTC."""

    def wait(self, seconds: float) -> bool:
        """Waits that long at most; returns whether it was asked to stop."""

    def stopping(self) -> bool:
        """Whether it was asked to stop."""


class WallClock:
    """The machine's clock; `stop` may be called from a signal handler."""

    def __init__(self) -> None:
        self._stop = threading.Event()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def wait(self, seconds: float) -> bool:
        return self._stop.wait(max(0.0, min(seconds, LONGEST_WAIT)))

    def stopping(self) -> bool:
        return self._stop.is_set()

    def stop(self) -> None:
        self._stop.set()
