"""Normalised rows as serialized tf.Examples."""

from __future__ import annotations

import pyarrow as pa
from tfx_bsl.coders import example_coder

from common.clicks.one_valued import one_valued


class Encoder:
    """Encodes batches in one native call; a null is a feature without a value."""

    def __init__(self) -> None:
        self._encoder = example_coder.RecordBatchToExamplesEncoder()

    def encode(self, batch: pa.RecordBatch) -> list[bytes]:
        """One serialized Example a row: strings as bytes, floats as float32, ints as int64."""
        records: list[bytes] = self._encoder.encode(one_valued(batch))
        return records
