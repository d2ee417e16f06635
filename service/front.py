"""What stands between HTTP and the model processes: admission, metrics, the decision log.

Predictions run in other processes, so that nothing here takes long and the thread that answers
`/health` never waits for one.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from service.http.metrics import Metrics
from service.models.live import Live
from service.routing.decisions import DecisionLog
from service.settings import ServeSettings
from service.workers.pool import ProcessLostError, RetiredError
from service.workers.wire import Reply

logger = logging.getLogger("hardtower.serving")

_MEMORY = 0.1
"""Weight of the newest request in the mean cost of a byte."""


class UnavailableError(RuntimeError):
    """No answer is to be had now."""


class Front:
    """Sends requests to the version that serves; used by one event loop."""

    def __init__(
        self,
        settings: ServeSettings,
        live: Live,
        metrics: Metrics,
        log: DecisionLog | None,
    ) -> None:
        self.settings = settings
        self.live = live
        self.metrics = metrics
        self.waiting = 0
        self._log = log
        self._waiting_bytes = 0
        self._seconds_per_byte = 0.0

    async def predict(self, body: Sequence[bytes], kind: int) -> Reply:
        """The answer to a request.

        Args:
          body: in pieces.
          kind: see `service.workers.wire`.

        Raises:
          UnavailableError: no version serves, the model process ended, or a turn would not come in
            time.
        """
        size = sum(map(len, body))
        self._admit()
        self.waiting += 1
        self._waiting_bytes += size
        try:
            reply = await self._ask(body, kind)
        except ProcessLostError as error:
            logger.error("a model does not answer: %s", error)
            raise UnavailableError("a model does not answer") from None
        finally:
            self.waiting -= 1
            self._waiting_bytes -= size
        if reply.status == 200:
            self._answered(reply, size)
        return reply

    async def _ask(self, body: Sequence[bytes], kind: int) -> Reply:
        while True:
            loaded = self.live.current()
            if loaded is None:
                name = self.settings.serving_dir.name
                state = "could be loaded" if self.live.refusals else "is loaded yet"
                raise UnavailableError(f"no version in {name} {state}")
            try:
                return await loaded.contents.ask(body, kind)
            except RetiredError:
                continue

    def _admit(self) -> None:
        settings = self.settings
        if self.waiting < settings.workers:
            return
        if self.waiting >= settings.workers + settings.max_waiting:
            raise UnavailableError(f"more than {settings.max_waiting} requests wait")
        wait = self._seconds_per_byte * self._waiting_bytes / settings.workers
        if wait > settings.max_wait_seconds:
            raise UnavailableError(f"a turn comes in {wait:.2g} s")

    def _answered(self, reply: Reply, size: int) -> None:
        cost = reply.seconds / max(size, 1)
        known = self._seconds_per_byte or cost
        self._seconds_per_byte = known + _MEMORY * (cost - known)
        if self._log is not None and reply.decision is not None:
            self._log.write(reply.decision)
            self.metrics.lost(self._log.lost)
        self.metrics.answered(reply)
