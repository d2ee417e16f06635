"""Wall time by phase."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Phases:
    """Times named phases.

    Attributes:
      seconds: wall time of each finished phase, in the order of their ends.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        """Times the body of a `with` statement."""
        started = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - started
