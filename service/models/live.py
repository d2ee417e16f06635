"""The version that serves now, and its replacement while requests run.

A version is loaded, checked and only then put in the place of the one before it, by setting one
reference. A reader takes the reference once and works with what it got, so that it never sees parts
of two versions; the old one is freed when its last reader is done.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from common.versions.folder import ServingFolder

if TYPE_CHECKING:
    from service.http.metrics import Metrics
    from service.workers.wire import Reply

T = TypeVar("T")

LONGEST_PAUSE = 60.0
"""Seconds after which a version that could not be loaded is tried again, at most."""

logger = logging.getLogger("hardtower.serving")


@dataclass(frozen=True)
class Loaded(Generic[T]):
    """A version in memory."""

    number: int
    contents: T


@dataclass(frozen=True)
class Refusal:
    """A version that could not be loaded: why, how often, and when it is tried again (s)."""

    reason: str
    attempts: int
    again: float


class Backend(Protocol):
    """What answers for one version, see `service.workers.pool.Pool`."""

    assignment_id: str

    @property
    def whole(self) -> bool:
        """Whether it is still in order; it is loaded again when it is not."""
        ...

    def retire(self) -> None:
        """It serves no longer, though readers may still be using it."""
        ...

    async def ask(self, body: Sequence[bytes], kind: int) -> Reply:
        """The answer to a request."""
        ...


class Live:
    """Keeps the newest version of a serving folder that loads.

    Args:
      folder: the serving folder; it need not be there yet.
      load: reads and checks a version, its number and folder given; whatever it raises refuses
        the version.
      metrics: told of every look at the folder.
      clock: seconds, never going back.
    """

    def __init__(
        self,
        folder: Path,
        load: Callable[[int, Path], Backend],
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = ServingFolder(folder)
        self._load = load
        self._metrics = metrics
        self._clock = clock
        self._current: Loaded[Backend] | None = None
        self._refusals: dict[int, Refusal] = {}
        self._one_at_a_time = threading.Lock()

    def current(self) -> Loaded[Backend] | None:
        """The version that serves; None while none could be loaded."""
        return self._current

    @property
    def refusals(self) -> dict[int, Refusal]:
        """Versions in the folder that could not be loaded."""
        return dict(self._refusals)

    def close(self) -> None:
        """Retires what serves; for the end."""
        with self._one_at_a_time:
            current, self._current = self._current, None
            if current is not None:
                current.contents.retire()

    def refresh(self) -> None:
        """Looks at the folder once.

        The newest version that loads takes over, which after a rollback is an older one. When none
        does, or the folder is empty or gone, the version in memory goes on serving.
        """
        with self._one_at_a_time:
            try:
                versions = self._folder.numbered()
            except OSError as error:
                logger.error("serving folder %s: %s", self._folder.root, error)
                return
            self._refusals = {n: r for n, r in self._refusals.items() if n in versions}
            for number in reversed(versions):
                before = self._current
                if before and number == before.number and before.contents.whole:
                    break
                refusal = self._refusals.get(number)
                if refusal is not None and self._clock() < refusal.again:
                    continue
                if self._try(number):
                    break
            serving = self._current.number if self._current else None
            self._metrics.looked(max(versions, default=None), serving)

    def _try(self, number: int) -> bool:
        replaced = self._current
        before = replaced.number if replaced else None
        start = self._clock()
        try:
            contents = self._load(number, self._folder.path(number))
        # Whatever is wrong with a version, the one before it goes on serving.
        except Exception as error:
            attempts = self._refusals[number].attempts + 1 if number in self._refusals else 1
            pause = min(LONGEST_PAUSE, 2.0 ** (attempts - 1))
            reason = " ".join(str(error).split()) or type(error).__name__
            self._refusals[number] = Refusal(reason, attempts, self._clock() + pause)
            kept = "none serves" if before is None else f"{before} goes on serving"
            logger.error("version %d refused, %s: %s", number, kept, reason)
            self._metrics.refused()
            return False
        self._current = Loaded(number, contents)
        if replaced is not None:
            replaced.contents.retire()
        self._refusals.pop(number, None)
        seconds = self._clock() - start
        was = "the first" if before is None else f"after {before}"
        logger.info("version %d serves now, %s (%.2f s)", number, was, seconds)
        self._metrics.loaded(seconds)
        return True


class Poller:
    """A thread that refreshes a `Live` again and again.

    Args:
      seconds: between two looks.
    """

    def __init__(self, refresh: Callable[[], None], seconds: float) -> None:
        self._refresh = refresh
        self._seconds = seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hardtower-versions", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Waits for a look that is under way."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._refresh()
            except Exception:
                logger.exception("a look at the serving folder failed")
            self._stop.wait(self._seconds)
