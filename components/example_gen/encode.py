"""Normalised rows as serialized tf.Examples."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from tfx_bsl.coders import example_coder


class Encoder:
    """Encodes batches in one native call; a null is a feature without a value."""

    def __init__(self) -> None:
        self._encoder = example_coder.RecordBatchToExamplesEncoder()

    def encode(self, batch: pa.RecordBatch) -> list[bytes]:
        """One serialized Example a row: strings as bytes, floats as float32, ints as int64."""
        lists = pa.RecordBatch.from_arrays(
            [_as_lists(column) for column in batch.columns], batch.schema.names
        )
        records: list[bytes] = self._encoder.encode(lists)
        return records


def _as_lists(column: pa.Array) -> pa.Array:
    if pa.types.is_string(column.type):
        column = column.cast(pa.binary())
    elif pa.types.is_floating(column.type):
        column = column.cast(pa.float32(), safe=False)
    if column.null_count == 0:
        offsets = pa.array(np.arange(len(column) + 1, dtype=np.int32))
        return pa.ListArray.from_arrays(offsets, column)
    present = column.is_valid()
    here = present.to_numpy(zero_copy_only=False)
    starts = np.zeros(len(column) + 1, np.int32)
    np.cumsum(here, out=starts[1:])
    # A null list, not an empty one: TensorFlow's parser counts an empty list as a wrong length.
    offsets = pa.array(starts, mask=np.append(~here, False))
    return pa.ListArray.from_arrays(offsets, column.filter(present))
