"""The model processes of one version, as the front sees them."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import socket
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path

from schemas.errors import InputError
from service.models.inputs import InputSchema
from service.settings import ServeSettings
from service.workers import wire
from service.workers.start import start

LEAST_PRIORITY = 19
"""As `nice` takes it."""


class ProcessLostError(RuntimeError):
    """A model process that ended, or did not answer in time, with a request in its hands."""


class RetiredError(RuntimeError):
    """A version that serves no longer."""


class Pool:
    """Model processes that each work on one request at a time; those without one wait in turn.

    Args:
      ready: what the processes say about their version.
      lines: one to each process.
    """

    def __init__(self, ready: wire.Ready, lines: Sequence[Line]) -> None:
        self.assignment_id = ready.assignment_id
        self.schema = InputSchema(ready.text, ready.numbers)
        self._lines = tuple(lines)
        self._idle = list(lines)
        self._turns: deque[asyncio.Future[Line]] = deque()
        self._asked = 0
        self._retired = False
        self._lock = threading.Lock()

    @property
    def whole(self) -> bool:
        """Whether no process has ended."""
        return all(line.process.is_alive() for line in self._lines)

    async def ask(self, body: Sequence[bytes], kind: int) -> wire.Reply:
        """The answer of the next process that is free.

        Args:
          body: a request, in pieces.
          kind: see `wire`.

        Raises:
          RetiredError: the version serves no longer.
          ProcessLostError: the process ended, or all have.
        """
        with self._lock:
            if self._retired:
                raise RetiredError
            self._asked += 1
        try:
            line = await self._free_line()
            try:
                return await line.ask(body, kind)
            finally:
                self._hand_on(line)
        finally:
            with self._lock:
                self._asked -= 1
            self._stop_when_done()

    def retire(self) -> None:
        """Ends the processes once they have answered; from any thread."""
        with self._lock:
            self._retired = True
        self._stop_when_done()

    async def _free_line(self) -> Line:
        while self._idle:
            line = self._idle.pop()
            if not line.lost:
                return line
        if all(line.lost for line in self._lines):
            raise ProcessLostError("no model process is left")
        turn: asyncio.Future[Line] = asyncio.get_running_loop().create_future()
        self._turns.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._hand_on(turn.result())
            raise

    def _hand_on(self, line: Line) -> None:
        """Gives a line to whoever waits longest."""
        none_left = all(line.lost for line in self._lines)
        while self._turns and (none_left or not line.lost):
            turn = self._turns.popleft()
            if turn.done():
                continue
            if not none_left:
                turn.set_result(line)
                return
            turn.set_exception(ProcessLostError("no model process is left"))
        if not line.lost:
            self._idle.append(line)

    def _stop_when_done(self) -> None:
        with self._lock:
            done = self._retired and not self._asked
        if done:
            for line in self._lines:
                _end(line.process)


class Line(asyncio.Protocol):
    """The line to one model process.

    Args:
      process: at the other end.
      end: this end.
      seconds: longest wait for an answer.
    """

    def __init__(self, process: BaseProcess, end: socket.socket, seconds: float) -> None:
        self.process = process
        self.lost = False
        self._end = end
        self._seconds = seconds
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[wire.Reply] | None = None
        self._received = bytearray()

    async def ask(self, body: Sequence[bytes], kind: int) -> wire.Reply:
        """See `Pool.ask`; one request at a time."""
        loop = asyncio.get_running_loop()
        if self._transport is None:
            self._end.setblocking(False)
            self._transport, _ = await loop.create_unix_connection(lambda: self, sock=self._end)
        if self.lost:
            raise ProcessLostError(f"process {self.process.pid} ended")
        self._answer = loop.create_future()
        self._transport.writelines([wire.HEADER.pack(sum(map(len, body)), kind), *body])
        # A process that hangs is ended, and the line breaks.
        deadline = loop.call_later(self._seconds, self.process.kill)
        try:
            return await self._answer
        finally:
            deadline.cancel()

    def data_received(self, data: bytes) -> None:
        received = self._received
        received += data
        size = wire.HEADER.size
        if len(received) < size or len(received) < size + wire.HEADER.unpack_from(received)[0]:
            return
        reply = wire.decode_reply(memoryview(received)[size:])
        self._received = bytearray()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(reply)

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ProcessLostError(f"process {self.process.pid} ended"))


class OpenPool:
    """Starts the processes of a version; all versions have the same inputs.

    Args:
      wanted: those inputs; None for the ones of the first version that starts.
    """

    def __init__(self, settings: ServeSettings, wanted: InputSchema | None = None) -> None:
        # Until something serves there is nothing that a load could be in the way of.
        self._settings = settings.model_copy(update={"load_niceness": 0})
        self._later = settings
        self._wanted = wanted
        self._processes = multiprocessing.get_context("forkserver")
        self._processes.set_forkserver_preload(["service.workers.preload"])

    def __call__(self, number: int, version: Path) -> Pool:
        """Waits until all processes have loaded the version.

        Raises:
          InputError: one refused it, ended, or took too long.
        """
        settings = self._settings
        lines: list[tuple[BaseProcess, socket.socket]] = []
        try:
            # One after the other: those that serve meanwhile need the cores.
            for _ in range(settings.workers):
                lines.append(self._line(number, version))
                ready = _await_ready(lines[-1][1], settings.load_seconds)
        except BaseException:
            for process, end in lines:
                process.kill()
                end.close()
            raise
        pool = Pool(ready, [Line(p, end, settings.answer_seconds) for p, end in lines])
        self._wanted, self._settings = pool.schema, self._later
        return pool

    def _line(self, number: int, version: Path) -> tuple[BaseProcess, socket.socket]:
        own, other = socket.socketpair()
        process = self._processes.Process(
            target=start,
            args=(other, self._settings, number, version, self._wanted),
            name=f"hardtower-{number}",
            daemon=True,
        )
        process.start()
        other.close()
        return process, own


def _end(process: BaseProcess) -> None:
    """Ends a process without haste: to take its memory back costs the system some 20 ms of a core,
    which those that serve need more."""
    with suppress(OSError):
        for thread in Path(f"/proc/{process.pid}/task").iterdir():
            os.setpriority(os.PRIO_PROCESS, int(thread.name), LEAST_PRIORITY)
    process.terminate()


def _await_ready(end: socket.socket, seconds: float) -> wire.Ready:
    end.settimeout(seconds)
    try:
        frame = wire.read_frame(end)
    except TimeoutError:
        raise InputError(f"not loaded after {seconds:g} s") from None
    if frame is None:
        raise InputError("the process that loaded it ended")
    started = wire.decode_start(frame[0])
    if isinstance(started, wire.Refused):
        raise InputError(started.reason)
    return started
