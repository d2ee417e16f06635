"""One run for one scheduled time or day: started, watched, tried again, and never done twice.

What is known of a run is its record in `runs/<run_id>/run.json`, written before its process is
started. Whoever comes after a crash reads there what has been done.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.run_record import (
    UNFINISHED,
    RunRecord,
    Trigger,
    read_record,
    records,
    stamp,
    write_record,
)
from pipeline.scheduling.clock import Clock
from pipeline.scheduling.ticks import Outcome, TickResult

MOST_INTERRUPTIONS = 3
"""Runs of one tick that ended together with their scheduler, after which it is given up: the run
itself may be what brings the machine down."""

Kind = Trigger.__annotations__["kind"]
Launch = Callable[[RunRecord], str | None]
"""Runs a record's pipeline to its end; returns how its process ended when the record cannot tell."""

logger = logging.getLogger("hardtower.schedule")


@dataclass(frozen=True)
class Policy:
    """How often a failed run is tried again, and after how many seconds."""

    retries: int = 0
    retry_delay: float = 60.0


class Attempts:
    """Runs of an output folder that are started for a tick.

    Args:
      launch: starts a run and waits for it. No run that an earlier `launch` started may be going
        on any more.
    """

    def __init__(
        self,
        out: Path,
        config: str,
        kind: str,
        launch: Launch,
        clock: Clock,
        policy: Policy,
    ) -> None:
        self._out = out
        self._config = config
        self._kind = kind
        self._launch = launch
        self._clock = clock
        self._policy = policy

    def earlier(self, tick: str) -> list[RunRecord]:
        """Runs that were started for a tick, in order."""
        found = [
            record
            for record in records(self._out)
            if record.trigger is not None
            and (record.trigger.kind, record.trigger.tick) == (self._kind, tick)
            and record.config == self._config
        ]
        return sorted(found, key=lambda r: r.trigger.attempt if r.trigger else 0)

    def handle(self, tick: str, as_of: str, name: str) -> TickResult | None:
        """Brings about one finished run for a tick.

        Args:
          tick: what the run is for, as it is recorded.
          as_of: the run's day.
          name: of the run, to which the number of the attempt is added.

        Returns:
          What came of it; none when the scheduler was asked to stop before it was clear.
        """
        while True:
            tried = [self._settled(record) for record in self.earlier(tick)]
            if (result := self._result(tick, tried)) is not None:
                return result
            if tried and tried[-1].status == "failed" and self._clock.wait_all(self._policy):
                return None
            if self._clock.stopping:
                return None
            last = self._attempt(tick, as_of, name, len(tried) + 1)
            if last.status == "stopped":
                if self._clock.stopping:
                    return None
                return _result(tick, "stopped", [*tried, last])
