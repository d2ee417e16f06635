"""Where arrays as long as the log lie: in memory, or on disk and mapped into it."""

from __future__ import annotations

import math
import mmap
import os
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from typing import IO, Any, Protocol

import numpy as np
import numpy.typing as npt

from schemas.errors import InputError

AT_ONCE = 2**18
"""Rows that are worked on at once."""

EXTENT = 2**28
"""Bytes of a file that many smaller arrays lie in: a process cannot hold many files open."""

HELD = 2**28
"""Bytes of mapped files that may be resident before what has been read is let go. To fetch a page
once more costs little while the system still has it, but more than not to have let it go."""

_ALIGNED = 64

Array = npt.NDArray[Any]


class Rows(Protocol):
    """An array that is written once, from its first row to its last."""

    def append(self, rows: Array) -> None:
        """Adds rows [n, ...]."""

    def finish(self) -> Array:
        """All rows; nothing is added afterwards."""


class Storage(Protocol):
    """Makes arrays. Whichever storage they lie in, they hold and behave the same."""

    def rows(self, of_row: Sequence[int], dtype: npt.DTypeLike, most: int) -> Rows:
        """An array [n, *of_row] to be written row by row, n being `most` at most."""

    def empty(self, shape: Sequence[int], dtype: npt.DTypeLike) -> Array:
        """An array to be written in any order; what it holds before is undefined."""

    def take(self, values: Array, rows: Array) -> Array:
        """A copy of the rows at the given numbers, or where the mask is true."""

    def release(self) -> None:
        """Tells that nothing will be wanted for a while of what has been read so far."""


class _RowsInMemory:
    def __init__(self, whole: Array) -> None:
        self._whole = whole
        self._written = 0

    def append(self, rows: Array) -> None:
        self._whole[self._written : self._written + len(rows)] = rows
        self._written += len(rows)

    def finish(self) -> Array:
        return self._whole[: self._written]


class Memory:
    """The process's own memory."""

    def rows(self, of_row: Sequence[int], dtype: npt.DTypeLike, most: int) -> Rows:
        # Pages that are never written take no memory.
        return _RowsInMemory(np.empty((most, *of_row), dtype))

    def empty(self, shape: Sequence[int], dtype: npt.DTypeLike) -> Array:
        return np.empty(shape, dtype)

    def take(self, values: Array, rows: Array) -> Array:
        taken: Array = values[rows]
        return taken

    def release(self) -> None:
        pass


MEMORY = Memory()


class Disk:
    """Files without a name, which are gone with the process however it ends.

    The system keeps what is used of them in memory for as long as nothing else wants it, so that
    an array which fits there is as fast as one in memory.
    """

    def __init__(self, folder: str) -> None:
        """Takes a folder on this machine; empty is that for temporary files.

        Raises:
          InputError: there is no such folder, or it cannot be written to.
        """
        self._folder = folder or tempfile.gettempdir()
        self._left = np.empty(0, np.uint8)
        self._mapped: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()
        with self._file():
            pass
        self._before = _resident_of_files()

    def rows(self, of_row: Sequence[int], dtype: npt.DTypeLike, most: int) -> Rows:
        return _RowsOnDisk(self, of_row, np.dtype(dtype))

    def empty(self, shape: Sequence[int], dtype: npt.DTypeLike) -> Array:
        """See `Storage`.

        Raises:
          InputError: the disk is full.
        """
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if size > EXTENT:
            return self._reserved(size).view(dtype).reshape(shape)
        if size > len(self._left):
            self._left = self._reserved(EXTENT)
        taken, self._left = np.split(self._left, [size + -size % _ALIGNED])
        return taken[:size].view(dtype).reshape(shape)

    def take(self, values: Array, rows: Array) -> Array:
        taken = self.rows(values.shape[1:], values.dtype, len(rows))
        masked = rows.dtype == np.bool_
        for part in pieces(len(rows)):
            taken.append(values[part][rows[part]] if masked else values[rows[part]])
            self.release()
        return taken.finish()

    def release(self) -> None:
        if _resident_of_files() - self._before < HELD:
            return
        for mapping in self._mapped:
            # What was written is kept: the pages are those of the file.
            mapping.madvise(mmap.MADV_DONTNEED)

    def _reserved(self, size: int) -> npt.NDArray[np.uint8]:
        with self._file() as file:
            try:
                # A disk that is full shall say so here, not kill the process at some later write.
                os.posix_fallocate(file.fileno(), 0, size)
            except OSError as error:
                raise self._refused(error, size) from error
            return self._map(file, (size,), np.uint8, mmap.ACCESS_WRITE)

    def _file(self) -> IO[bytes]:
        try:
            return tempfile.TemporaryFile(dir=self._folder)
        except OSError as error:
            raise self._refused(error, 0) from error

    def _refused(self, error: OSError, size: int) -> InputError:
        wanted = f"has room for another {size:,} bytes" if size else "can be written to"
        return InputError(
            f"training.input_dir: {self._folder!r}: {error.strerror}; wanted a folder on this "
            f"machine that {wanted}"
        )

    def _map(
        self, file: IO[bytes], shape: Sequence[int], dtype: npt.DTypeLike, access: int
    ) -> Array:
        mapping = mmap.mmap(file.fileno(), 0, access=access)
        self._mapped.add(mapping)
        return np.frombuffer(mapping, dtype).reshape(shape)


def _resident_of_files() -> int:
    """Bytes of the files mapped by this process, libraries too, that are in its memory."""
    with open("/proc/self/statm", encoding="ascii") as sizes:
        return int(sizes.read().split()[2]) * mmap.PAGESIZE


class _RowsOnDisk:
    def __init__(self, disk: Disk, of_row: Sequence[int], dtype: np.dtype[Any]) -> None:
        self._disk = disk
        self._of_row = of_row
        self._dtype = dtype
        self._file = disk._file()
        self._written = 0

    def append(self, rows: Array) -> None:
        content = np.ascontiguousarray(rows, self._dtype)
        try:
            self._file.write(content.data)
            self._file.flush()
        except OSError as error:
            raise self._disk._refused(error, content.nbytes) from error
        self._written += len(rows)

    def finish(self) -> Array:
        shape = (self._written, *self._of_row)
        with self._file as file:
            if not math.prod(shape):
                return np.empty(shape, self._dtype)
            return self._disk._map(file, shape, self._dtype, mmap.ACCESS_READ)


def pieces(rows: int) -> Iterator[slice]:
    """Consecutive slices of `AT_ONCE` rows, the last of fewer."""
    for first in range(0, rows, AT_ONCE):
        yield slice(first, min(first + AT_ONCE, rows))
