"""Columns of a contract from a TFRecord file of serialized tf.Examples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import tensorflow as tf
from tfx_bsl.coders import example_coder

from common.clicks.tfrecords import BATCH, FRAME_BYTES, inflated_bytes
from components.example_gen.readers.head import check_columns
from components.example_gen.readers.source import TORN
from schemas.contract import Contract
from schemas.errors import InputError


def read_examples(path: str, contract: Contract) -> Iterator[pa.RecordBatch]:
    """The contract's columns; a feature that an example lacks is null.

    Raises:
      InputError: as `decoded_examples`, or a column that no example of the first batch has.
    """
    for number, decoded in enumerate(decoded_examples(path)):
        if number == 0:
            check_columns(path, sorted(decoded.schema.names), contract.log_columns)
        yield _scalars(decoded, contract.log_columns)


def decoded_examples(path: str) -> Iterator[pa.RecordBatch]:
    """All features of the examples as lists, `BATCH` examples at a time.

    Raises:
      InputError: not a whole TFRecord file of tf.Examples.
    """
    compression = "GZIP" if path.endswith(".gz") else ""
    decoder = example_coder.ExamplesToRecordBatchDecoder()
    records = tf.data.TFRecordDataset(path, compression).batch(BATCH)
    read = 0
    try:
        for batch in records.as_numpy_iterator():
            read += sum(map(len, batch)) + FRAME_BYTES * len(batch)
            yield decoder.DecodeBatch(batch.tolist())
    except (tf.errors.OpError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: not a TFRecord file of tf.Examples: {reason}") from error
    # To TensorFlow a file that is cut within a record's first twelve bytes ends before it.
    there = inflated_bytes(path) if compression else tf.io.gfile.stat(path).length
    if read != there:
        raise InputError(
            f"{path}: the last record is cut short: seen {there:,} bytes, whole records up to "
            f"byte {read:,}; wanted a whole TFRecord file"
        )


def _scalars(batch: pa.RecordBatch, names: Sequence[str]) -> pa.RecordBatch:
    """The values; an example with more than one of a feature is torn."""
    columns, words = [], np.full(batch.num_rows, None, object)
    for name in names:
        place = batch.schema.get_field_index(name)
        if place < 0:
            columns.append(pa.nulls(batch.num_rows))
            continue
        lists = batch.column(place)
        lengths = lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
        for row in np.flatnonzero(lengths > 1).tolist():
            words[row] = f"{lengths[row]} values of {name}"
        last = pa.array(lengths.cumsum() - 1, mask=lengths == 0, type=pa.int64())
        columns.append(lists.flatten().take(last))
    values = pa.RecordBatch.from_arrays(columns, list(names))
    torn = pa.array(words, pa.string())
    if torn.null_count == len(torn):
        return values
    sound = values.take(pa.array(np.arange(len(torn)), mask=torn.is_valid().to_numpy(False)))
    return pa.RecordBatch.from_arrays([*sound.columns, torn], [*names, TORN])
