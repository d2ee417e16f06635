"""Which scheduled times are due, and what came of those that were."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from common.files.atomic import write_files
from common.files.local import read_local_json
from pipeline.runs.record import stamp
from pipeline.scheduling.cron import Cron
from schemas.base import Frozen
from schemas.errors import InputError

STATE_FILE = "schedule.json"
KEPT_RESULTS = 500

Outcome = Literal["succeeded", "failed", "stopped", "skipped"]


@dataclass(frozen=True)
class Due:
    """What to do at a moment.

    Attributes:
      skipped: how many scheduled times are left out, older than all others, and the last of them.
      tick: the next one to run; none when nothing is due.
    """

    skipped: int
    last_skipped: datetime | None
    tick: datetime | None


def due(cron: Cron, handled: datetime, now: datetime, limit: int | None) -> Due:
    """The scheduled times after `handled`, up to now.

    Args:
      handled: the last scheduled time that is done with.
      limit: how many of the newest may be caught up; None for all.
    """
    count, skipped = 0, None
    waiting: deque[datetime] = deque()
    for tick in cron.between(handled, now):
        waiting.append(tick)
        if limit is None:
            break
        if len(waiting) > limit:
            skipped = waiting.popleft()
            count += 1
    return Due(count, skipped, waiting[0] if waiting else None)


class TickResult(Frozen):
    """What came of one scheduled time, or of several in a row that were left out."""

    tick: str
    """ISO 8601, UTC; of several the last one."""
    outcome: Outcome
    run_id: str | None = None
    attempts: int = 0
    ticks: int = 1
    """How many scheduled times this stands for."""
    reason: str = ""


class ScheduleState(Frozen):
    """Contents of `schedule.json`."""

    handled: str
    """All scheduled times up to this one are done with; ISO 8601, UTC."""
    cron: str = ""
    results: tuple[TickResult, ...] = ()
    """The newest ones, oldest first."""

    @property
    def handled_at(self) -> datetime:
        return datetime.fromisoformat(self.handled).astimezone(UTC)

    def after(self, tick: datetime, result: TickResult) -> ScheduleState:
        """The state once a tick is done with."""
        kept = (*self.results, result)[-KEPT_RESULTS:]
        return self.model_copy(update={"handled": stamp(tick), "results": kept})


class ScheduleFile:
    """The state on disk, replaced as a whole."""

    def __init__(self, out: Path) -> None:
        self._out = out

    def read(self) -> ScheduleState | None:
        """The state, if there is one yet.

        Raises:
          InputError: the file is damaged.
        """
        path = self._out / STATE_FILE
        try:
            raw = read_local_json(path)
            return None if raw is None else ScheduleState.model_validate(raw)
        except (ValidationError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"{path}: not the state of a schedule ({reason}); wanted the file as it was "
                "written, or none to begin anew"
            ) from None

    def write(self, state: ScheduleState) -> None:
        write_files(self._out, {STATE_FILE: state.model_dump_json(indent=1) + "\n"})
