"""Retrains at scheduled times, one run after another, over crashes and restarts."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pipeline.runs.record import stamp
from pipeline.scheduling.attempts import Attempts
from pipeline.scheduling.clock import Clock
from pipeline.scheduling.cron import Cron
from pipeline.scheduling.ticks import ScheduleFile, ScheduleState, TickResult, due

logger = logging.getLogger("hardtower.schedule")


@dataclass(frozen=True)
class Catchup:
    """What is done about scheduled times that passed while no run could begin.

    Attributes:
      limit: how many of the newest are run, one after another, oldest first; None for all. With 1,
        which is no catching up, only the newest is.
    """

    limit: int | None = 1


class Scheduler:
    """Runs the due scheduled times of an output folder.

    A scheduled time is done with when its result is in `schedule.json`. Between that and the run's
    own record nothing is lost: a run that ended is found again, one that was cut off begins anew.
    """

    def __init__(
        self, out: Path, cron: Cron, attempts: Attempts, clock: Clock, catchup: Catchup
    ) -> None:
        self._file = ScheduleFile(out)
        self._cron = cron
        self._attempts = attempts
        self._clock = clock
        self._limit = catchup.limit

    def begin(self) -> ScheduleState:
        """The state to go on from; at the first start nothing before the present moment is due.

        Raises:
          InputError: the state file is damaged.
        """
        state = self._file.read() or ScheduleState(handled=stamp(self._clock.now()))
        if state.cron != self._cron.expression:
            state = state.model_copy(update={"cron": self._cron.expression})
            self._file.write(state)
        return state

    def run_due(self) -> list[TickResult]:
        """Runs everything that is due, also what becomes due meanwhile; returns what came of it."""
        state = self.begin()
        results: list[TickResult] = []
        while not self._clock.stopping():
            now = due(self._cron, state.handled_at, self._clock.now(), self._limit)
            if now.last_skipped is not None:
                result = TickResult(
                    tick=stamp(now.last_skipped),
                    outcome="skipped",
                    ticks=now.skipped,
                    reason="missed, and not caught up",
                )
                state = self._done(state, now.last_skipped, result)
                results.append(result)
            if now.tick is None:
                break
            ended = self._run(now.tick)
            if ended is None:
                break
            state = self._done(state, now.tick, ended)
            results.append(ended)
        return results

    def run_forever(self) -> None:
        """Runs what is due and waits for the next scheduled time, until asked to stop."""
        announced = None
        while not self._clock.stopping():
            self.run_due()
            if self._clock.stopping():
                break
            upcoming = self._cron.next_after(max(self.begin().handled_at, self._clock.now()))
            if upcoming != announced:
                logger.info("next run at %s", stamp(upcoming))
                announced = upcoming
            self._clock.wait((upcoming - self._clock.now()).total_seconds())

    def _run(self, tick: datetime) -> TickResult | None:
        day = tick.date().isoformat()
        logger.info("%s: run as of %s", stamp(tick), day)
        return self._attempts.handle(stamp(tick), day, f"{day}-{tick:%Y%m%dT%H%M%SZ}")

    def _done(self, state: ScheduleState, tick: datetime, result: TickResult) -> ScheduleState:
        after = state.after(tick, result)
        self._file.write(after)
        many = f" ({result.ticks} scheduled times)" if result.ticks > 1 else ""
        logger.info("%s: %s%s %s", result.tick, result.outcome, many, result.reason)
        return after
