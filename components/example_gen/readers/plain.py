"""Sources of the plain file formats: Parquet, CSV and TFRecords of tf.Examples."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc_csv

from common.clicks.rows import LONGEST_SHOWN
from common.files.apart import foreign_batches
from common.files.arrow import open_parquet
from components.example_gen.readers.head import check_columns, check_compression, check_text
from components.example_gen.readers.partitions import window_files
from components.example_gen.readers.source import TORN, Source, Window
from components.example_gen.readers.text import TextStream, open_text, text_stream
from schemas.contract import Contract
from schemas.errors import InputError

BATCH_ROWS = 65_536
BLOCK_BYTES = 8 << 20
"""Of text, read at a time; the longest row that can be."""
LINE_BREAK = re.compile(r"\r\n?|\n")
LONGEST_REASON = 300
"""Characters of a reason of Arrow's, which quotes the row."""


def open_source(contract: Contract, root: Path, window: Window) -> Source:
    """The source that the contract's `input` describes.

    Args:
      root: the folder that relative patterns and the adapters' files start from.

    Raises:
      InputError: the format has no files (BigQuery), or the adapter does not exist.
    """
    form = contract.input.format
    if form == "adapter":
        # The adapters load pandas, which no other format needs.
        from components.example_gen.adapters import open_adapter

        return open_adapter(contract.input.adapter, root, window, contract.input.options, contract)
    if form == "bigquery":
        raise InputError(f"contract {contract.name}: BigQuery is read by TFX's BigQueryExampleGen")
    plain: dict[str, type[ParquetSource | CsvSource | TfRecordSource]] = {
        "parquet": ParquetSource,
        "csv": CsvSource,
        "tfrecord": TfRecordSource,
    }
    return plain[form](contract, root, window)


class FileSource:
    """Files by pattern; one file is one shard."""

    def __init__(self, contract: Contract, root: Path, window: Window) -> None:
        self._contract, self._root, self._window = contract, root, window

    def shards(self) -> tuple[str, ...]:
        files = window_files(self._root, self._contract.input.pattern, self._window)
        for path in files:
            if Path(path).stat().st_size == 0:
                raise InputError(f"{path}: the file is empty; wanted at least one row")
        self._check(files)
        return files

    def fingerprint(self) -> str:
        """A file counts by name, size and time of last change."""
        files = window_files(self._root, self._contract.input.pattern, self._window)
        digest = hashlib.sha256(self._contract.model_dump_json().encode())
        for name in files:
            stat = Path(name).stat()
            digest.update(f"\0{name}\0{stat.st_size}\0{stat.st_mtime_ns}".encode())
        return digest.hexdigest()[:16]

    def _check(self, files: tuple[str, ...]) -> None:
        """Looks at the files' heads, so that a wrong file fails before any long work."""


class ParquetSource(FileSource):
    """Parquet files; those without rows, as Spark leaves them, may lie beside others."""

    def _check(self, files: tuple[str, ...]) -> None:
        rows = 0
        for path in files:
            file = open_parquet(path)
            check_columns(path, file.schema_arrow.names, self._contract.log_columns)
            rows += file.metadata.num_rows
        if not rows:
            raise InputError(f"{files[0]}: no row in this file or any other; wanted at least one")

    def read(self, shard: str) -> Iterator[pa.RecordBatch]:
        yield from foreign_batches(shard, self._contract.log_columns, BATCH_ROWS)


class CsvSource(FileSource):
    """Delimited text (RFC 4180), plain or compressed by the file name's ending.

    Columns are read as bytes and brought to their types row by row afterwards, so that one value
    that is none costs its row and not the file.
    """

    def _check(self, files: tuple[str, ...]) -> None:
        for path in files:
            check_text(path, self._contract.input.csv.encoding)
            check_columns(path, self._names(path), self._contract.log_columns)

    def read(self, shard: str) -> Iterator[pa.RecordBatch]:
        form = self._contract.input.csv
        names, columns = list(self._contract.log_columns), self._names(shard)
        check_columns(shard, columns, names)
        more = form.delimiter * len(columns)
        end, mark = END + more, more + BEHIND
        torn = TornRows(end, mark, before=0 if form.columns else 1)
        try:
            text = text_stream(shard, form.encoding)
            marks = QuoteMarks(form.delimiter, mark.encode())
            stream = WithEnd(text, marks, f"\n{end}\n".encode())
            with pc_csv.open_csv(
                pa.PythonFile(stream, "r"),
                # One thread, so that errors name the row.
                read_options=pc_csv.ReadOptions(
                    use_threads=False,
                    block_size=BLOCK_BYTES,
                    column_names=list(form.columns) or None,
                ),
                parse_options=pc_csv.ParseOptions(
                    delimiter=form.delimiter, newlines_in_values=True, invalid_row_handler=torn
                ),
                convert_options=pc_csv.ConvertOptions(
                    include_columns=names,
                    column_types=dict.fromkeys(names, pa.binary()),
                    null_values=list(form.null_values),
                    strings_can_be_null=True,
                ),
            ) as reader:
                for batch in reader:
                    yield torn.put_back(batch)
            yield from torn.rest(names)
            if not torn.ended:
                raise EOFError("ends within quotes; wanted each quoted value closed")
        except UnicodeError as error:
            raise InputError(f"{shard}: not text in {form.encoding}: {error}") from error
        except (pa.ArrowException, OSError, EOFError, KeyError) as error:
            raise InputError(f"{shard}: {' '.join(str(error).split())[:LONGEST_REASON]}") from error

    def _names(self, path: str) -> list[str]:
        form = self._contract.input.csv
        if form.columns:
            return list(form.columns)
        try:
            with open_text(path, form.encoding) as file:
                return next(csv.reader(file, delimiter=form.delimiter, strict=True), [])
        except (OSError, EOFError, UnicodeError, csv.Error) as error:
            raise InputError(f"{path}: line 1: {error}; wanted the columns' names") from error


END = "\x1e"
"""Begins the torn row that is added to every file."""
BEHIND = "\x1d"
"""Stands before text behind a closing quote, in a field of its own."""
LONGEST_QUOTED = 4 * BLOCK_BYTES
"""Of a quoted value. Arrow refuses rows of more than a block or two."""


class QuoteMarks:
    """Sets a mark between a closing quote and text behind it, as in `"i\\"os"`.

    RFC 4180 doubles a quote within quotes. Where a program writes `\\"` instead, Arrow reads
    `i\\os"`, a value that nobody has written.

    Args:
      mark: what is set; must begin with a delimiter.

    Attributes:
      held: a quoted value that has begun, which `marked` has not given out yet.
    """

    def __init__(self, delimiter: str, mark: bytes) -> None:
        ends = rb"[\r\n" + re.escape(delimiter.encode()) + rb"]"
        quoted = rb'"[^"]*+(?:""[^"]*+)*+"'
        # A quote that begins no field stands for itself.
        self._sound = re.compile(rb'(?:[^"]++|(?<!%b)"|%b(?=%b))*+' % (ends, quoted, ends))
        self._quoted = re.compile(quoted)
        self._mark = mark
        self._before = b"\n"
        self.held = b""

    def marked(self, data: bytes) -> bytes:
        """The bytes with their marks, up to the last field that is known to be whole.

        Raises:
          EOFError: a quoted value does not end.
        """
        if not self.held and b'"' not in data:
            self._before = data[-1:]
            return data
        if len(self.held) > LONGEST_QUOTED:
            raise EOFError(
                f"a value of more than {LONGEST_QUOTED:,} bytes within quotes; wanted each quoted "
                "value closed"
            )
        data, start, parts = self._before + self.held + data, 1, []
        while (stop := self._end_of_sound(data, start)) < len(data):
            quoted = self._quoted.match(data, stop)
            if quoted is None or quoted.end() == len(data):
                break
            parts += [data[start : quoted.end()], self._mark]
            start = quoted.end()
        parts.append(data[start:stop])
        self._before, self.held = data[stop - 1 : stop], data[stop:]
        return b"".join(parts)

    def _end_of_sound(self, data: bytes, start: int) -> int:
        found = self._sound.match(data, start)
        assert found is not None  # it matches nothing at all, too
        return found.end()


class WithEnd:
    """A stream with its quotes marked, then some bytes more.

    A quote that nobody closes takes in all that follows. Arrow says nothing of it; that the row
    behind the file's last one did not come tells.
    """

    closed = False

    def __init__(self, stream: TextStream, marks: QuoteMarks, end: bytes) -> None:
        self._stream, self._marks, self._end = stream, marks, end
        self._ready = b""

    def read(self, size: int) -> bytes:
        # In one piece, since Arrow wants the header within the first.
        while len(self._ready) < size and self._end:
            if data := self._stream.read(size):
                self._ready += self._marks.marked(data)
            else:
                self._ready += self._marks.marked(self._end) + self._marks.held
                self._end = b""
        piece, self._ready = self._ready[:size], self._ready[size:]
        return piece

    def close(self) -> None:
        self._stream.close()


class TornRows:
    """Rows of a CSV file that Arrow leaves out, as they have another number of fields than columns;
    those with a mark of `QuoteMarks` among them.

    One over several lines counts for as many rows: a stray quote takes in the rows after it.

    Args:
      end: the row behind the last one.
      mark: of text behind a closing quote.
      before: rows that Arrow counts before the first one, of which a header is one.

    Attributes:
      ended: whether the end has been seen.
    """

    def __init__(self, end: str, mark: str, before: int) -> None:
        self.ended = False
        self._end, self._mark = end, mark
        self._before = before
        """What Arrow's number of a row is greater by than its place."""
        self._done = 0
        """Rows given out so far, torn ones among them."""
        self._places: list[int] = []
        self._seen: list[str] = []

    def __call__(self, row: pc_csv.InvalidRow) -> str:
        text = row.text
        if text == self._end:
            self.ended = True
            return "skip"
        fault = f"{row.actual_columns} fields for {row.expected_columns} columns"
        if self._mark in text:
            text, fault = text.replace(self._mark, ""), "text behind a closing quote"
        lines = 1 + len(LINE_BREAK.findall(text))
        shown = repr(text[:LONGEST_SHOWN]) + ("..." if len(text) > LONGEST_SHOWN else "")
        over = f" over {lines} lines" if lines > 1 else ""
        first = row.number - self._before - 1
        self._before -= lines - 1
        self._places += range(first, first + lines)
        self._seen += [f"{fault}{over}: {shown}"] * lines
        return "skip"

    def put_back(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows with the torn ones among them, in `TORN`."""
        places = np.array(self._places, np.int64) - self._done
        # Sound rows of the batch before each torn one.
        sound = places - np.arange(len(places))
        here = int(np.searchsorted(sound, batch.num_rows, "right"))
        self._done += batch.num_rows + here
        if not here:
            return batch
        order = np.insert(np.arange(batch.num_rows), sound[:here], -1)
        words = np.full(len(order), None, object)
        words[places[:here]] = self._seen[:here]
        del self._places[:here], self._seen[:here]
        whole = batch.take(pa.array(order, mask=order < 0))
        return pa.RecordBatch.from_arrays(
            [*whole.columns, pa.array(words, pa.string())], [*whole.schema.names, TORN]
        )

    def rest(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Those after the last sound row."""
        if self._places:
            none = pa.array([], pa.binary())
            yield self.put_back(pa.RecordBatch.from_arrays([none] * len(columns), list(columns)))


class TfRecordSource(FileSource):
    """TFRecord files of serialized tf.Examples, gzip where the name ends in `.gz`."""

    def _check(self, files: tuple[str, ...]) -> None:
        for path in files:
            check_compression(path)

    def read(self, shard: str) -> Iterator[pa.RecordBatch]:
        from components.example_gen.readers.tfrecord import read_examples

        yield from read_examples(shard, self._contract)
