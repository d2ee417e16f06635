"""Rows of the predictions table, slice by slice, as TFMA extracts.

TFMA's own extractors emit one extract per example and run every metric of every slice on each: 18
ms an example for three models and ten slices. Here one extract carries all rows of a record batch
that belong to one slice, as arrays.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.extractors import slice_key_extractor
from tensorflow_model_analysis.slicer import slicer_lib

from components.evaluator.metrics.slices import Columns, split_by_slice
from components.evaluator.scores.table import LABEL, models_of, prediction_column


class _SliceRows(beam.DoFn):
    def __init__(self, slices: Sequence[Columns]) -> None:
        super().__init__()
        self._slices = slices

    def process(self, element: dict[str, Any]) -> Iterator[dict[str, Any]]:
        batch: pa.RecordBatch = element[tfma.ARROW_RECORD_BATCH_KEY]
        label = batch.column(LABEL).to_numpy().astype(np.float64)
        predictions = {
            model: batch.column(prediction_column(model)).to_numpy().astype(np.float64)
            for model in models_of(batch.schema)
        }
        for pairs, rows in split_by_slice(batch, self._slices):
            # TFMA's slice keys are sorted by column.
            key = tuple(sorted(pairs))
            yield {
                tfma.LABELS_KEY: label[rows],
                tfma.PREDICTIONS_KEY: {model: p[rows] for model, p in predictions.items()},
                tfma.SLICE_KEY_TYPES_KEY: slicer_lib.slice_keys_to_numpy_array([key]),
            }


def slice_extractor(slices: Sequence[Columns]) -> tfma.extractors.Extractor:
    """Stands in for all of TFMA's extractors: takes record batches of the predictions table."""
    return tfma.extractors.Extractor(
        # The stage that TFMA's evaluator runs after.
        stage_name=slice_key_extractor.SLICE_KEY_EXTRACTOR_STAGE_NAME,
        ptransform=beam.ParDo(_SliceRows(tuple(slices))),
    )
