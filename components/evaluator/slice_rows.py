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
import numpy.typing as npt
import pyarrow as pa
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.extractors import slice_key_extractor
from tensorflow_model_analysis.slicer import slicer_lib

from components.evaluator.slices import Columns
from components.evaluator.table import LABEL, models_of, prediction_column

SliceKey = tuple[tuple[str, str], ...]


def split_by_slice(
    batch: pa.RecordBatch, slices: Sequence[Columns]
) -> Iterator[tuple[SliceKey, npt.NDArray[np.intp]]]:
    """The rows of every slice in the batch.

    Args:
      batch: rows of the predictions table.
      slices: columns to slice by, crossed.

    Yields:
      The slice's (column, value) pairs sorted by column, as TFMA has them, and its row numbers.
    """
    if batch.num_rows == 0:
        return
    for columns in slices:
        cell = np.zeros(batch.num_rows, np.int64)
        for column in columns:
            codes = batch.column(column).dictionary_encode()
            mixed = cell * len(codes.dictionary) + codes.indices.to_numpy()
            # Renumbered each time, so that crossing many columns cannot overflow.
            _, cell = np.unique(mixed, return_inverse=True)
        order = np.argsort(cell, kind="stable")
        for rows in np.split(order, np.flatnonzero(np.diff(cell[order])) + 1):
            first = int(rows[0])
            pairs = ((column, batch.column(column)[first].as_py()) for column in columns)
            yield tuple(sorted(pairs)), rows


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
        for key, rows in split_by_slice(batch, self._slices):
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
