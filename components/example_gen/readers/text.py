"""A text file's bytes, each proven as it passes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from components.example_gen.readers.head import COMPRESSED
from schemas.errors import InputError


class TextStream(io.BufferedIOBase):
    """Bytes of a text file; reading raises `InputError` where they are damaged or hold a NUL.

    A NUL ends a value to one reader and belongs to it to another.

    Args:
      path: names the file in errors.
      stream: its bytes, decompressed.
      first: place of the stream's first byte in the file.
    """

    def __init__(
        self, path: str, stream: pa.NativeFile | io.BufferedReader, first: int = 0
    ) -> None:
        self.name, self._stream, self._place = path, stream, first

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        with damage_named(self.name):
            data = bytes(self._stream.read(None if size is None or size < 0 else size))
        if (nul := data.find(0)) >= 0:
            raise InputError(
                f"{self.name}: a NUL at byte {self._place + nul} of the text; wanted text, which "
                "has none"
            )
        self._place += len(data)
        return data

    def read1(self, size: int = -1) -> bytes:
        return self.read(size)

    def close(self) -> None:
        self._stream.close()
        super().close()


@contextmanager
def damage_named(path: str) -> Iterator[None]:
    """Raises `InputError` where a compressed file is damaged."""
    try:
        yield
    except OSError as error:
        if Path(path).suffix not in COMPRESSED:
            raise
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path}: the compressed file is damaged: {reason}; wanted a whole one"
        ) from error


def text_stream(path: str, encoding: str = "utf-8") -> TextStream:
    """The file's bytes in UTF-8, decompressed by its name's ending."""
    stream = pa.input_stream(path, compression="detect")
    if encoding != "utf-8":
        stream = pa.transcoding_input_stream(stream, encoding, "utf-8")
    return TextStream(path, stream)


def open_text(path: str, encoding: str = "utf-8") -> io.TextIOWrapper:
    """The file as text, decompressed as by `text_stream`; a mark is left out."""
    stream = text_stream(path, encoding)
    return io.TextIOWrapper(stream, "utf-8-sig", errors="replace", newline="")
