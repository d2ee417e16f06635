"""One run for one scheduled time or day: started, watched, tried again, and never done twice.

What is known of a run is its record in `runs/<run_id>/run.json`, written before its process is
started. Whoever comes after a crash reads there what has been done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pipeline.runs.record import (
    UNFINISHED,
    RunRecord,
    Trigger,
    TriggerKind,
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


@dataclass(frozen=True)
class Ending:
    """How a run's process ended, and whether that was because it took too long."""

    text: str
    overdue: bool = False


Launch = Callable[[RunRecord], Ending]
"""Runs a record's pipeline to its end."""


@dataclass(frozen=True)
class Policy:
    """How often a failed run is tried again, and after how many seconds."""

    retries: int = 0
    retry_delay: float = 60.0


class Attempts:
    """Runs of an output folder that are started for ticks of one kind.

    Args:
      config: name of the pipeline.
      launch: starts a run and waits for it. No run that an earlier `launch` started may be going
        on any more.
    """

    def __init__(
        self,
        out: Path,
        config: str,
        kind: TriggerKind,
        launch: Launch,
        clock: Clock,
        policy: Policy,
    ) -> None:
        self._out = out
        self._config = config
        self._kind: TriggerKind = kind
        self._launch = launch
        self._clock = clock
        self._policy = policy

    def handle(self, tick: str, as_of: str, name: str, forgive: bool = False) -> TickResult | None:
        """Brings about one finished run for a tick.

        Args:
          tick: what the run is for, as it is recorded.
          as_of: the run's day.
          name: of the run, to which the number of the attempt is added.
          forgive: whether runs that did not succeed before this call count for nothing.

        Returns:
          What came of it; none when the scheduler was asked to stop before it was clear.
        """
        before = self.earlier(tick) if forgive else []
        forgiven = {record.run_id for record in before if record.status != "succeeded"}
        while True:
            tried = self.earlier(tick)
            counted = [record for record in tried if record.run_id not in forgiven]
            if (result := self._result(counted)) is not None:
                return result
            if counted and counted[-1].status == "failed":
                self._pause()
            if self._clock.stopping():
                return None
            last = self._attempt(tick, as_of, name, len(tried) + 1)
            if last.status == "stopped" and not self._clock.stopping():
                return _told("stopped", [*counted, last])

    def earlier(self, tick: str) -> list[RunRecord]:
        """Runs that were started for a tick, in order; what is unfinished among them is over."""
        numbered = [
            (record.trigger.attempt, record)
            for record in records(self._out)
            if record.trigger is not None
            and record.config == self._config
            and (record.trigger.kind, record.trigger.tick) == (self._kind, tick)
        ]
        return [self._buried(record) for _, record in sorted(numbered, key=lambda pair: pair[0])]

    def _result(self, tried: list[RunRecord]) -> TickResult | None:
        if any(record.status == "succeeded" for record in tried):
            return _told("succeeded", tried)
        failed = sum(record.status == "failed" for record in tried)
        if failed > self._policy.retries or len(tried) - failed >= MOST_INTERRUPTIONS:
            return _told("failed", tried)
        return None

    def _attempt(self, tick: str, as_of: str, name: str, number: int) -> RunRecord:
        record = RunRecord(
            run_id=f"{name}-{number}",
            status="queued",
            as_of=as_of,
            config=self._config,
            started=stamp(self._clock.now()),
            trigger=Trigger(kind=self._kind, tick=tick, attempt=number),
        )
        write_record(self._out, record)
        ending = self._launch(record)
        last = read_record(self._out / "runs" / record.run_id) or record
        if last.status in (*UNFINISHED, "killed") or ending.overdue:
            last = last.ended("failed", ending.text)
            write_record(self._out, last)
        return last

    def _buried(self, record: RunRecord) -> RunRecord:
        if record.status not in UNFINISHED:
            return record
        over = record.ended("killed", "the process went away without a word")
        write_record(self._out, over)
        return over

    def _pause(self) -> None:
        until = self._clock.now() + timedelta(seconds=self._policy.retry_delay)
        while (left := (until - self._clock.now()).total_seconds()) > 0:
            if self._clock.wait(left):
                return


def _told(outcome: Outcome, tried: list[RunRecord]) -> TickResult:
    last = next((r for r in tried if r.status == "succeeded"), tried[-1])
    return TickResult(
        tick=last.trigger.tick if last.trigger else "",
        outcome=outcome,
        run_id=last.run_id,
        attempts=len(tried),
        reason=last.error or last.summary or "",
    )
