"""What a reader of click logs offers, whatever the format."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Protocol

import pyarrow as pa

from common.days import first_second

TORN = "\0torn"
"""A column that a batch may have besides: null, or what was seen of a row whose values could not be
told apart, and whose other columns are null."""


@dataclass(frozen=True)
class Window:
    """Days of clicks that a run may read: `start` up to, not including, `end` (UTC)."""

    start: date
    end: date

    @classmethod
    def before(cls, as_of: date, days: int) -> Window:
        return cls(as_of - timedelta(days=days), as_of)

    @property
    def seconds(self) -> tuple[int, int]:
        """First second of the window and the first one after it, since 1970-01-01 UTC."""
        return first_second(self.start), first_second(self.end)

    @property
    def days(self) -> tuple[date, ...]:
        return tuple(self.start + timedelta(days=i) for i in range((self.end - self.start).days))


class Source(Protocol):
    """A click log split into shards, each read on its own by one worker."""

    def shards(self) -> tuple[str, ...]:
        """Keys of the shards that may hold rows of the window, in a fixed order.

        Raises:
          InputError: a file or a daily partition is missing, or cannot be read.
        """

    def read(self, shard: str) -> Iterator[pa.RecordBatch]:
        """The shard's rows in batches, columns named as in the contract, `TORN` maybe among them.

        Rows outside the window may be among them. Raises `InputError` when the file lacks a
        column or holds another type.
        """

    def fingerprint(self) -> str:
        """Changes whenever the rows may have changed: keys the reuse of earlier results."""
