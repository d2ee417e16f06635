"""Columns of a contract from a TFRecord file of serialized tf.Examples."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import tensorflow as tf
from tfx_bsl.coders import example_coder

from common.clicks.tfrecords import BATCH
from components.example_gen.readers.head import check_columns
from schemas.contract import Contract
from schemas.errors import InputError


def read_examples(path: str, contract: Contract) -> Iterator[pa.RecordBatch]:
    """The contract's columns; a feature that an example lacks is null.

    Raises:
      InputError: not a TFRecord file of tf.Examples, a column that no example of the first batch
        has, or a feature with more than one value.
    """
    compression = "GZIP" if path.endswith(".gz") else ""
    decoder = example_coder.ExamplesToRecordBatchDecoder()
    records = tf.data.TFRecordDataset(path, compression).batch(BATCH)
    first = True
    try:
        for batch in records.as_numpy_iterator():
            decoded = decoder.DecodeBatch(batch.tolist())
            if first:
                check_columns(path, sorted(decoded.schema.names), contract.log_columns)
                first = False
            yield _scalars(decoded, contract, path)
    except (tf.errors.OpError, RuntimeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: not a TFRecord file of tf.Examples: {reason}") from error


def _scalars(batch: pa.RecordBatch, contract: Contract, path: str) -> pa.RecordBatch:
    columns = []
    for name in contract.log_columns:
        place = batch.schema.get_field_index(name)
        if place < 0:
            columns.append(pa.nulls(batch.num_rows))
            continue
        column = batch.column(place)
        try:
            columns.append(_first_values(column))
        except ValueError as error:
            raise InputError(f"{path}: column {name}: {error}") from error
    return pa.RecordBatch.from_arrays(columns, list(contract.log_columns))


def _first_values(lists: pa.Array) -> pa.Array:
    lengths = lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    if (lengths > 1).any():
        raise ValueError(f"{int(lengths.max())} values in one example; wanted at most one")
    flat = lists.flatten()
    places = lengths.cumsum() - 1
    indices = pa.array(places, mask=lengths == 0, type=pa.int64())
    return flat.take(indices)
