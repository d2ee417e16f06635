"""One Parquet file made batch by batch, on any file system that TensorFlow reaches."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from common.files.gfile import write_bytes

GROUP_ROWS = 65_536
"""Rows of a row group, the unit in which Beam reads the file; the last one may hold fewer."""


class ParquetShard:
    """Compressed in memory, written when it is closed; a shard without rows leaves no file."""

    def __init__(self, path: str, statistics: Sequence[str] = ()) -> None:
        """
        Args:
          statistics: columns whose least and greatest values are kept with each row group. Few
            are ever looked at, and finding them takes a third of the time of writing.
        """
        self.path = path
        self._statistics = list(statistics)
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0
        self._writer: pq.ParquetWriter | None = None

    def write(self, batch: pa.RecordBatch) -> None:
        if not batch.num_rows:
            return
        self._waiting.append(batch)
        self._rows += batch.num_rows
        if self._rows >= GROUP_ROWS:
            self._flush()

    def close(self) -> None:
        if self._waiting:
            self._flush()
        if self._writer is not None:
            self._writer.close()
            tf.io.gfile.makedirs(self.path.rpartition("/")[0])
            write_bytes(self._sink.getvalue().to_pybytes(), self.path)
            self._writer = None

    def _flush(self) -> None:
        table = pa.Table.from_batches(self._waiting)
        if self._writer is None:
            self._sink = pa.BufferOutputStream()
            # Under the standard's name for a list's values, Transform sees a type that it refuses
            # where Beam reads the file with a newer pyarrow.
            self._writer = pq.ParquetWriter(
                self._sink,
                table.schema,
                write_statistics=self._statistics,
                use_compliant_nested_type=False,
            )
        self._writer.write_table(table, GROUP_ROWS)
        self._waiting, self._rows = [], 0
