"""Prefetching: the same items, errors in their place, and no thread left behind."""

import threading
from collections.abc import Iterator

import pytest

from components.trainer.prefetch import prefetched


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name == "prefetch"]


@pytest.mark.parametrize("depth", [1, 2, 50])
def test_same_items_in_their_order(depth: int) -> None:
    assert list(prefetched(iter(range(20)), depth)) == list(range(20))
    assert threads() == []


def test_items_are_made_by_another_thread_ahead_of_use() -> None:
    made = [threading.Event() for _ in range(4)]
    makers = []

    def source() -> Iterator[int]:
        for i, event in enumerate(made):
            makers.append(threading.current_thread().name)
            event.set()
            yield i

    items = prefetched(source(), depth=2)
    assert next(items) == 0
    assert made[2].wait(10)
    assert list(items) == [1, 2, 3]
    assert set(makers) == {"prefetch"}


def test_an_error_comes_where_its_item_would_have() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise ZeroDivisionError("second")

    items = prefetched(source())
    assert next(items) == 1
    with pytest.raises(ZeroDivisionError, match="second"):
        next(items)
    assert threads() == []


def test_closing_ends_the_thread_of_an_endless_source() -> None:
    def source() -> Iterator[int]:
        while True:
            yield 0

    items = prefetched(source(), depth=1)
    assert next(items) == 0
    assert threads() == ["prefetch"]
    items.close()
    assert threads() == []
