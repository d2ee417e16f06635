"""SIGTERM and SIGINT for a scheduler: the first ends it after the run, the second at once."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from pipeline.scheduling.clock import WallClock

logger = logging.getLogger("hardtower.schedule")


class StopSignals:
    """What the process has been asked for."""

    def __init__(self, clock: WallClock) -> None:
        self._clock = clock
        self._at_once = False

    def at_once(self) -> bool:
        """Whether a run that is going on is to be ended."""
        return self._at_once

    @contextmanager
    def installed(self) -> Iterator[StopSignals]:
        """Takes the signals over within the block."""
        signals = (signal.SIGTERM, signal.SIGINT)
        before = {number: signal.signal(number, self._on_signal) for number in signals}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._at_once = self._clock.stopping()
        self._clock.stop()
        when = "now" if self._at_once else "after the run that is going on; again to end it now"
        logger.info("%s: ending %s", signal.Signals(number).name, when)
