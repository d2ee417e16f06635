"""Streamed reading of delimited text, with errors that name the line and the column."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Generic

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from components.example_gen.adapters.base import Opening, Options
from components.example_gen.readers.head import check_text
from components.example_gen.readers.normalise import cast_or_null, decimal_only
from components.example_gen.readers.text import TextStream, open_text, text_stream
from schemas.errors import InputError

BLOCK_BYTES = 8 << 20
SHARD_BYTES = 256 << 20
"""Bytes of an uncompressed file that one shard covers."""


@dataclass(frozen=True)
class Layout:
    """How a file is laid out.

    Attributes:
      columns: all its columns, in order.
      delimiter: one character.
      header: whether line 1 names the columns.
    """

    columns: tuple[str, ...]
    delimiter: str
    header: bool


@dataclass(frozen=True)
class Rows:
    """Rows of text, and the checked conversion of their columns.

    Attributes:
      path: the file.
      offset: byte of the file that line counting starts from.
      lines: int64 [n], lines of the rows, from 1 at `offset`.
      batch: string columns.
    """

    path: Path
    offset: int
    lines: npt.NDArray[np.int64]
    batch: pa.RecordBatch

    def __len__(self) -> int:
        return int(self.batch.num_rows)

    def where(self, mask: pa.Array) -> Rows:
        """The rows where the mask is true."""
        lines = self.lines[mask.to_numpy(zero_copy_only=False)]
        return Rows(self.path, self.offset, lines, self.batch.filter(mask))

    def text(self, name: str, missing: Sequence[str] = ("",)) -> pa.Array:
        """A string column; the `missing` values become null."""
        column = self.batch.column(name)
        return pc.if_else(pc.is_in(column, pa.array(missing, pa.string())), None, column)

    def integers(self, name: str, missing: Sequence[str] = ()) -> pa.Array:
        """An int64 column; raises `InputError` at the first value that is not one."""
        return self._numbers(name, missing, pa.int64(), "an integer")

    def floats(self, name: str, missing: Sequence[str] = ()) -> pa.Array:
        """A float64 column; raises `InputError` at the first value that is not a number."""
        return self._numbers(name, missing, pa.float64(), "a number")

    def flags(self, name: str) -> pa.Array:
        """A bool column from 0 and 1; raises `InputError` at the first other value."""
        column = self.batch.column(name)
        bad = pc.invert(pc.is_in(column, pa.array(["0", "1"])))
        if pc.any(bad).as_py():
            self.fail(bad.index(True).as_py(), name, "0 or 1")
        return pc.equal(column, "1")

    def one_of(self, name: str, values: Sequence[str]) -> pa.Array:
        """A string column; raises `InputError` at the first value not listed."""
        column = self.batch.column(name)
        bad = pc.invert(pc.is_in(column, pa.array(list(values))))
        if pc.any(bad).as_py():
            self.fail(bad.index(True).as_py(), name, f"one of {', '.join(values)}")
        return column

    def fail(self, row: int, name: str, wanted: str) -> None:
        """Raises the `InputError` for the value of a row and column."""
        line = int(self.lines[row]) + _lines_before(self.path, self.offset)
        seen = self.batch.column(name)[row].as_py()
        raise InputError(f"{self.path}: line {line}: column {name!r}: {seen!r}; wanted {wanted}")

    def _numbers(
        self, name: str, missing: Sequence[str], kind: pa.DataType, wanted: str
    ) -> pa.Array:
        column = self.text(name, missing)
        numbers = cast_or_null(decimal_only(column), kind)
        if numbers.null_count > column.null_count:
            bad = pc.and_(numbers.is_null(), column.is_valid())
            self.fail(bad.index(True).as_py(), name, wanted)
        return numbers


def text_blocks(
    path: Path, layout: Layout, wanted: Sequence[str], span: str = ""
) -> Iterator[Rows]:
    """The file's rows as text, block by block; `.gz` is decompressed on the fly.

    Args:
      path: the file.
      layout: its layout.
      wanted: the columns to keep.
      span: one of `spans(path)`, or empty for the whole file.

    Raises:
      InputError: the file cannot be read, its header lacks a column, or a line has too many or too
        few fields.
    """
    try:
        check_text(str(path))
        start, stream = _open(path, span)
        if stream is None:
            return
        if layout.header and start == 0:
            _check_header(path, layout)
        reader = csv.open_csv(
            stream,
            read_options=csv.ReadOptions(
                block_size=BLOCK_BYTES,
                use_threads=False,
                column_names=None if layout.header and start == 0 else list(layout.columns),
            ),
            parse_options=csv.ParseOptions(
                delimiter=layout.delimiter, quote_char=False, ignore_empty_lines=False
            ),
            convert_options=csv.ConvertOptions(
                column_types={name: pa.string() for name in wanted},
                include_columns=list(wanted),
                strings_can_be_null=False,
            ),
        )
        line = 2 if layout.header and start == 0 else 1
        for batch in reader:
            yield Rows(path, start, np.arange(line, line + batch.num_rows), batch)
            line += batch.num_rows
    except (OSError, EOFError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        where = f"bytes {span}: " if span else ""
        raise InputError(
            f"{path}: {where}{reason}; wanted {len(layout.columns)} columns: "
            f"{', '.join(layout.columns)}"
        ) from error


class DelimitedLog(ABC, Generic[Options]):
    """A log in one delimited file, as a `Source`; a shard is a byte range, or the `.gz`.

    Attributes:
      version: goes up when the adapter makes other rows of the same file.
      wanted: columns of the layout that are read.
    """

    version: ClassVar[int]
    layout: ClassVar[Layout]
    wanted: ClassVar[tuple[str, ...]]

    def __init__(self, opening: Opening, options: type[Options]) -> None:
        self.opening = opening
        self.options = opening.checked(options)

    @property
    @abstractmethod
    def path(self) -> Path:
        """The file."""

    @abstractmethod
    def examples(self, rows: Rows) -> pa.RecordBatch:
        """The rows' clicks as examples of the contract's columns."""

    def shards(self) -> tuple[str, ...]:
        return spans(self.path)

    def read(self, shard: str) -> Iterator[pa.RecordBatch]:
        return map(self.examples, text_blocks(self.path, self.layout, self.wanted, shard))

    def fingerprint(self) -> str:
        return self.opening.fingerprint(self.version, self.options, [self.path])


def spans(path: Path, size: int = SHARD_BYTES) -> tuple[str, ...]:
    """Byte ranges `start-end` that cover the file; a compressed file is one range."""
    total = path.stat().st_size
    if path.suffix == ".gz":
        return (f"0-{total}",)
    return tuple(f"{start}-{min(start + size, total)}" for start in range(0, max(total, 1), size))


def _open(path: Path, span: str) -> tuple[int, TextStream | None]:
    """First byte that is read, and the stream: whole lines that begin inside the span."""
    if not span or path.suffix == ".gz":
        return 0, text_stream(str(path))
    start, end = (_line_start(path, int(byte)) for byte in span.split("-"))
    if start == end > 0:
        return start, None
    span_bytes = io.BufferedReader(ByteRange(path, start, end), BLOCK_BYTES)
    return start, TextStream(str(path), span_bytes, start)


def _line_start(path: Path, byte: int) -> int:
    """The byte itself when a line begins there, else the start of the next line."""
    with path.open("rb") as file:
        if byte == 0:
            return 0
        file.seek(byte - 1)
        file.readline()
        return file.tell()


def _lines_before(path: Path, byte: int) -> int:
    if byte == 0:
        return 0
    with path.open("rb") as file:
        blocks = iter(lambda: file.read(min(BLOCK_BYTES, byte - file.tell())), b"")
        return sum(block.count(b"\n") for block in blocks)


def _check_header(path: Path, layout: Layout) -> None:
    with open_text(str(path)) as file:
        line = file.readline()
    seen = line.rstrip("\r\n").split(layout.delimiter)
    if twice := [name for name in layout.columns if seen.count(name) > 1]:
        raise InputError(f"{path}: line 1: column {twice[0]!r} is there more than once; wanted one")
    if missing := [name for name in layout.columns if name not in seen]:
        shown = line.strip()[:120]
        raise InputError(
            f"{path}: line 1: no column {missing[0]!r} in the header {shown!r}; "
            f"wanted {', '.join(layout.columns)}"
        )


class ByteRange(io.RawIOBase):
    """The bytes of a file from `start` up to, not including, `end`."""

    def __init__(self, path: Path, start: int, end: int) -> None:
        self._file = path.open("rb")
        self._file.seek(start)
        self._left = end - start

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._file.read(min(len(buffer), self._left))
        buffer[: len(data)] = data
        self._left -= len(data)
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()
