"""Columns of single values as lists of one, the form in which TFX exchanges examples."""

from __future__ import annotations

import numpy as np
import pyarrow as pa


def one_valued(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Each column as lists of one value, null where the value is.

    Strings become bytes and floats float32. Lists and bytes have 64-bit offsets, as TFX's readers
    want them.
    """
    one_each = pa.array(np.arange(batch.num_rows + 1, dtype=np.int64))
    return pa.RecordBatch.from_arrays(
        [_as_lists(column, one_each) for column in batch.columns], batch.schema.names
    )


def single_values(lists: pa.Array) -> pa.Array:
    """The values of lists that hold one each at most; null where the list is null or empty."""
    if lists.null_count == 0 and len(lists.flatten()) == len(lists):
        return lists.flatten()
    lengths = np.diff(lists.offsets.to_numpy())
    first = np.cumsum(lengths) - lengths
    return lists.flatten().take(pa.array(first, mask=lengths == 0))


def _as_lists(column: pa.Array, one_each: pa.Array) -> pa.Array:
    if pa.types.is_string(column.type) or pa.types.is_binary(column.type):
        column = column.cast(pa.large_binary())
    elif pa.types.is_floating(column.type):
        column = column.cast(pa.float32(), safe=False)
    if column.null_count == 0:
        return pa.LargeListArray.from_arrays(one_each, column)
    present = column.is_valid()
    here = present.to_numpy(zero_copy_only=False)
    starts = np.zeros(len(column) + 1, np.int64)
    np.cumsum(here, out=starts[1:])
    # A null list, not an empty one: TensorFlow's parser counts an empty list as a wrong length.
    offsets = pa.array(starts, mask=np.append(~here, False))
    return pa.LargeListArray.from_arrays(offsets, column.filter(present))
