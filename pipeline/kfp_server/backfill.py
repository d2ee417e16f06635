"""Runs of many days on a server, not too many at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from pipeline.kfp_server.requests import RunRequest, RunView
from pipeline.kfp_server.runs import FINISHED, GOOD, Server


class Backfill:
    """One run a day, oldest first.

    Args:
      request: day -> its run, with a name that is the day's own.
      at_once: runs that may be going on at the same time.
      tell: is told what happens, a line each.
    """

    def __init__(
        self,
        server: Server,
        experiment_id: str,
        request: Callable[[str], RunRequest],
        at_once: int,
        tell: Callable[[str], object],
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self._server = server
        self._experiment_id = experiment_id
        self._request = request
        self._at_once = at_once
        self._tell = tell
        self._pause = pause

    def run(self, days: Sequence[str], there: Sequence[RunView]) -> int:
        """Brings about a good run of each day; returns for how many days there is none.

        Args:
          there: runs of the experiment. A day's good run is taken as it is, one that is going on
            is waited for.
        """
        going: dict[str, str] = {}
        done = 0
        for day in days:
            earlier = self._earlier(day, there)
            if earlier is not None and earlier.state in GOOD:
                self._tell(f"{day}: run {earlier.run_id} has done it already")
                done += 1
                continue
            while len(going) >= self._at_once:
                done += self._collect(going)
            if earlier is not None:
                going[day] = earlier.run_id
                self._tell(f"{day}: run {earlier.run_id} is going on")
            else:
                going[day] = self._server.start(self._request(day), self._experiment_id)
                self._tell(f"{day}: run {going[day]} started")
        while going:
            done += self._collect(going)
        return len(days) - done

    def _earlier(self, day: str, there: Sequence[RunView]) -> RunView | None:
        """A run of the day that is good or not yet over, a good one first."""
        name = self._request(day).name
        mine = [v for v in there if (v.name, v.as_of) == (name, day)]
        mine = [v for v in mine if v.state in GOOD or v.state not in FINISHED]
        return min(mine, key=lambda v: v.state not in GOOD, default=None)

    def _collect(self, going: dict[str, str]) -> int:
        """Waits until one of the runs is over and takes it out; returns how many were good."""
        oldest = next(iter(going))
        view = self._server.wait(going.pop(oldest), timeout=None, pause=self._pause)
        self._tell(f"{oldest}: {view.state} {view.error}".rstrip())
        return int(view.state in GOOD)
