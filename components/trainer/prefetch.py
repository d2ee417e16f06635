"""Making the next items while the last one is being used."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from typing import NamedTuple, TypeVar

T = TypeVar("T")


class _Failed(NamedTuple):
    """What ended the source; none is its end."""

    error: BaseException | None


def prefetched(source: Iterator[T], depth: int = 2) -> Generator[T, None, None]:
    """The items of `source` in their order, made by a thread of their own.

    An error of the source is raised where its item would have come. The thread ends with the
    source, or when this iterator is closed.

    Args:
      source: used by the thread alone from now on.
      depth: most items made ahead.
    """
    items: queue.Queue[T | _Failed] = queue.Queue(depth)
    closed = threading.Event()

    def put(item: T | _Failed) -> None:
        while not closed.is_set():
            try:
                return items.put(item, timeout=0.1)
            except queue.Full:
                continue

    def make() -> None:
        try:
            for item in source:
                put(item)
                if closed.is_set():
                    return
        except BaseException as error:
            put(_Failed(error))
        else:
            put(_Failed(None))

    thread = threading.Thread(target=make, name="prefetch", daemon=True)
    thread.start()
    try:
        while not isinstance(item := items.get(), _Failed):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        closed.set()
        thread.join()
