"""Scheduled runs and backfills on this machine."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from types import FrameType

from pipeline.runs.record import TriggerKind
from pipeline.scheduling.attempts import Attempts, Policy
from pipeline.scheduling.clock import WallClock
from pipeline.scheduling.cron import Cron
from pipeline.scheduling.process import RunProcess, only_one
from pipeline.scheduling.scheduler import Catchup, Scheduler
from pipeline.scheduling.ticks import TickResult

logger = logging.getLogger("hardtower.schedule")


@dataclass(frozen=True)
class LocalRuns:
    """Runs of one config into one output folder.

    Attributes:
      config: name of the pipeline.
      arguments: `--config` and `--set` options that each run gets.
      timeout: seconds that a run may take; None for any time.
    """

    out: Path
    config: str
    arguments: Sequence[str]
    policy: Policy = field(default_factory=Policy)
    timeout: float | None = None

    def schedule(self, cron: Cron, catchup: Catchup, once: bool) -> list[TickResult]:
        """Runs at the scheduled times until asked to stop; with `once` only what is due now.

        Raises:
          InputError: another schedule is at work in the folder, or its state file is damaged.
        """
        with self._attempts("schedule") as (attempts, clock):
            scheduler = Scheduler(self.out, cron, attempts, clock, catchup)
            if once:
                return scheduler.run_due()
            scheduler.run_forever()
            return []

    def backfill(self, days: Iterable[date]) -> list[TickResult]:
        """One run a day, in order; a day that an earlier backfill has done is left alone.

        Raises:
          InputError: another backfill is at work in the folder.
        """
        results = []
        with self._attempts("backfill") as (attempts, clock):
            for day in days:
                if clock.stopping():
                    break
                name = day.isoformat()
                logger.info("%s: run", name)
                result = attempts.handle(name, name, f"{name}-backfill", forgive=True)
                if result is None:
                    break
                logger.info("%s: %s %s", name, result.outcome, result.reason)
                results.append(result)
        return results

    @contextmanager
    def _attempts(self, kind: TriggerKind) -> Iterator[tuple[Attempts, WallClock]]:
        clock = WallClock()
        signals = StopSignals(clock)
        with (
            told_on_stdout(),
            signals.installed(),
            only_one(self.out, kind, clock) as lock,
        ):
            launch = RunProcess(self.out, self.arguments, lock, signals.at_once, self.timeout)
            yield Attempts(self.out, self.config, kind, launch, clock, self.policy), clock


@contextmanager
def told_on_stdout() -> Iterator[None]:
    """Prints the scheduler's own log lines, with their time."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


logger = logging.getLogger("hardtower.schedule")


class StopSignals:
    """SIGTERM or SIGINT once: the run may end, and no other begins; twice: the run is ended."""

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
