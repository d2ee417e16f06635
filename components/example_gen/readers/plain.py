"""Sources of the plain file formats: Parquet, CSV and TFRecords of tf.Examples."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq

from components.example_gen.readers.fingerprint import file_fingerprint
from components.example_gen.readers.partitions import window_files
from components.example_gen.readers.source import Source, Window
from schemas.contract import Contract
from schemas.errors import InputError

BATCH_ROWS = 65_536


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
        files = window_files(self._root, self._contract.input.pattern, self._window)
        return file_fingerprint(files, self._contract.model_dump_json())

    def _check(self, files: tuple[str, ...]) -> None:
        """Looks at the files' heads, so that a wrong file fails before any long work."""

    def _require(self, path: str, found: list[str]) -> None:
        missing = [c for c in self._contract.log_columns if c not in found]
        if missing:
            raise InputError(
                f"{path}: column {', '.join(missing)} is missing; the file has: {', '.join(found)}"
            )


class ParquetSource(FileSource):
    """Parquet files."""

    def _check(self, files: tuple[str, ...]) -> None:
        for path in files:
            file = self._open(path)
            self._require(path, file.schema_arrow.names)
            if file.metadata.num_rows == 0:
                raise InputError(f"{path}: the file has no row; wanted at least one")

    def read(self, shard: str) -> Iterator[pa.RecordBatch]:
        columns = list(self._contract.log_columns)
        yield from self._open(shard).iter_batches(BATCH_ROWS, columns=columns)

    @staticmethod
    def _open(path: str) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(path)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{path}: not a Parquet file: {error}") from error


class CsvSource(FileSource):
    """Delimited text, plain or compressed (by the file name's ending)."""

    def _check(self, files: tuple[str, ...]) -> None:
        for path in files:
            with self._open(path) as reader:
                self._require(path, reader.schema.names)

    def read(self, shard: str) -> Iterator[pa.RecordBatch]:
        names = list(self._contract.log_columns)
        with self._open(shard) as reader:
            while True:
                try:
                    batch = reader.read_next_batch()
                except StopIteration:
                    return
                except pa.ArrowException as error:
                    raise self._error(shard, error) from error
                yield pa.RecordBatch.from_arrays([batch.column(n) for n in names], names)

    def _open(self, path: str) -> pc_csv.CSVStreamingReader:
        c, form = self._contract, self._contract.input.csv
        types = {
            **dict.fromkeys(c.string_columns, pa.string()),
            **dict.fromkeys(c.float_columns, pa.float64()),
            **dict.fromkeys(c.int_columns, pa.int64()),
        }
        try:
            return pc_csv.open_csv(
                path,
                # One thread, so that errors name the row.
                read_options=pc_csv.ReadOptions(
                    use_threads=False, column_names=list(form.columns) or None
                ),
                parse_options=pc_csv.ParseOptions(delimiter=form.delimiter),
                convert_options=pc_csv.ConvertOptions(
                    column_types=types,
                    null_values=list(form.null_values),
                    strings_can_be_null=True,
                ),
            )
        except (pa.ArrowException, OSError) as error:
            raise self._error(path, error) from error

    def _error(self, path: str, error: Exception) -> InputError:
        """Arrow counts columns from 0 and knows no names."""
        names = list(self._contract.input.csv.columns)
        if not names:
            with open_text(path) as file:
                names = next(csv.reader(file, delimiter=self._contract.input.csv.delimiter), [])
        text = re.sub(
            r"column #(\d+)",
            lambda found: f"column {dict(enumerate(names)).get(int(found[1]), found[0])}",
            " ".join(str(error).split()),
        )
        return InputError(f"{path}: {text}")


def open_text(path: str) -> io.TextIOWrapper:
    """The file as text, decompressed by its name's ending as Arrow does."""
    return io.TextIOWrapper(pa.input_stream(path, compression="detect"), errors="replace")


class TfRecordSource(FileSource):
    """TFRecord files of serialized tf.Examples, gzip where the name ends in `.gz`."""

    def read(self, shard: str) -> Iterator[pa.RecordBatch]:
        from components.example_gen.readers.tfrecord import read_examples

        yield from read_examples(shard, self._contract)
