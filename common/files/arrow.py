"""Parquet and Arrow files, opened here and nowhere else.

In pyarrow below 14 a file can name an extension type whose unpickling runs code of the file's
choosing (CVE-2023-47248); TFX holds us to an older one. `pyarrow_hotfix` takes that type away for
the whole process, once it has been imported.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow_hotfix  # noqa: F401  # see above

from schemas.errors import InputError

UNREADABLE = (pa.ArrowException, OSError, UnicodeDecodeError)
"""What pyarrow raises about files that are damaged; the last one about names of columns."""

Source: TypeAlias = str | Path | pa.NativeFile


def parquet_file(source: Source) -> pq.ParquetFile:
    """A file's columns, to be read batch by batch; raises as pyarrow does.

    INT96, in which Spark and Hive keep times, are microseconds: in nanoseconds, what pyarrow makes
    of them, the year 2610 would be 2026.
    """
    return pq.ParquetFile(source, coerce_int96_timestamp_unit="us")


def parquet_table(source: Source, columns: Sequence[str] | None = None) -> pa.Table:
    """The whole file, or some of its columns; raises as pyarrow does."""
    table = parquet_file(source).read(None if columns is None else list(columns))
    # A damaged page can leave a column shorter than the others.
    table.validate()
    return table


def mapped_table(path: Path) -> pa.Table:
    """An Arrow IPC file, still on disk until it is touched; raises as pyarrow does."""
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()


def ipc_stream(body: bytes) -> pa.ipc.RecordBatchStreamReader:
    """An Arrow IPC stream in memory, batch by batch; raises as pyarrow does."""
    return pa.ipc.open_stream(body)


def ipc_messages(body: bytes) -> pa.ipc.MessageReader:
    """The same, message by message, before anything of them is built."""
    return pa.ipc.MessageReader.open_stream(body)


def parquet_batches(
    path: str, file: pq.ParquetFile, columns: Sequence[str], rows: int
) -> Iterator[pa.RecordBatch]:
    """Columns of a file, at most `rows` rows at a time.

    Raises:
      InputError: a page is damaged.
    """
    left, proven = file.metadata.num_rows, False
    try:
        for batch in file.iter_batches(rows, columns=list(columns)):
            batch.validate(full=False)
            if batch.num_rows < min(rows, left) and not proven:
                # Where a damaged page has made one column shorter than the others, the batch after
                # this one would be read from beyond that column's end.
                _refuse_short_columns(file, columns, rows)
                proven = True
            left -= batch.num_rows
            yield batch
        if left:
            raise pa.ArrowInvalid(f"{left} rows fewer than the footer says")
    except UNREADABLE as error:
        raise InputError(
            f"{path}: damaged: {' '.join(str(error).split())}; wanted a sound Parquet file"
        ) from error


def open_parquet(path: str) -> pq.ParquetFile:
    """A file of which the footer alone has been read.

    Raises:
      InputError: it is no Parquet file.
    """
    try:
        file = parquet_file(path)
        file.schema_arrow  # noqa: B018  # where names that are no text come to light
        return file
    except UNREADABLE as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: not a Parquet file: {reason}") from error


def _refuse_short_columns(file: pq.ParquetFile, columns: Sequence[str], rows: int) -> None:
    wanted = file.metadata.num_rows
    for name in columns:
        values = sum(batch.num_rows for batch in file.iter_batches(rows, columns=[name]))
        if values != wanted:
            raise pa.ArrowInvalid(f"column {name} has {values} values for {wanted} rows")
