"""One day's rows as Parquet files of bounded length."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq


class PartWriter:
    """Writes `part-00000.parquet`, `part-00001.parquet`, ... into a folder that it makes."""

    def __init__(self, folder: Path, rows_per_file: int) -> None:
        self._folder = folder
        self._rows_per_file = rows_per_file
        self._writer: pq.ParquetWriter | None = None
        self._rows = 0
        self._parts = 0

    def __enter__(self) -> PartWriter:
        self._folder.mkdir(parents=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def write(self, table: pa.Table) -> None:
        """Appends rows; begins another file whenever one is full."""
        while len(table):
            if self._rows == self._rows_per_file:
                self._close()
            writer = self._writer or self._open(table.schema)
            head = table.slice(0, self._rows_per_file - self._rows)
            writer.write_table(head)
            self._rows += len(head)
            table = table.slice(len(head))

    def _open(self, schema: pa.Schema) -> pq.ParquetWriter:
        path = self._folder / f"part-{self._parts:05d}.parquet"
        # Numbers rarely repeat, and readers select by time alone: dictionaries of the one and
        # statistics of anything but the other cost a fifth of the time and save nothing.
        repeating = [field.name for field in schema if pa.types.is_string(field.type)]
        selected = [name for name in schema.names if name == "timestamp"]
        writer = pq.ParquetWriter(
            path, schema, use_dictionary=repeating or False, write_statistics=selected or False
        )
        self._writer = writer
        self._parts += 1
        self._rows = 0
        return writer

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            self._rows = 0
