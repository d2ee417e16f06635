"""Metrics of every model on every slice, by TensorFlow Model Analysis."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

import apache_beam as beam
import pyarrow as pa
import tensorflow_model_analysis as tfma

from common.statistics.bootstrap import Estimate
from components.evaluator.metrics import averages as sum_metrics
from components.evaluator.metrics import ranking as ranking_metrics
from components.evaluator.metrics import rig
from components.evaluator.metrics.slice_rows import slice_extractor
from components.evaluator.metrics.slices import Columns, slice_name
from components.evaluator.scores.table import LABEL, LAST_BLESSED, MODELS, prediction_column

METRICS: tuple[type[tfma.metrics.Metric], ...] = (
    rig.RIG,
    ranking_metrics.LogitAUC,
    ranking_metrics.LogitAveragePrecision,
    sum_metrics.ClippedLogLoss,
    sum_metrics.CalibrationRatio,
    sum_metrics.LabelMean,
    sum_metrics.PredictionMean,
    sum_metrics.ExampleTotal,
    sum_metrics.PositiveTotal,
)


class Record(TypedDict):
    """One figure: `value` is null where the metric is not defined on the slice.

    `low` and `high` bound it by the bootstrap; null where it gave no interval.
    """

    model: str
    slice: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    examples: int
    positives: int


def eval_config(models: Sequence[str], slices: Iterable[Columns]) -> tfma.EvalConfig:
    """The evaluation in TFMA's terms; differences are taken to the last blessed model, if any."""
    return tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(
                name=model,
                label_key=LABEL,
                prediction_key=prediction_column(model),
                is_baseline=model == LAST_BLESSED,
            )
            for model in models
        ],
        metrics_specs=[
            tfma.MetricsSpec(
                metrics=[
                    tfma.MetricConfig(class_name=metric.__name__, module=metric.__module__)
                    for metric in METRICS
                ]
            )
        ],
        slicing_specs=[tfma.SlicingSpec(feature_keys=list(columns)) for columns in slices],
    )


class WriteEvaluation(beam.PTransform):
    """Evaluates record batches of the predictions table and writes TFMA's own output.

    `tfma.load_eval_result(output_path, model_name=...)` opens it.

    Args:
      models: where each model lies, by name; for TFMA's display.
      slices: columns to slice by, crossed.
      output_path: an existing folder.
    """

    def __init__(
        self, models: Mapping[str, str], slices: Sequence[Columns], output_path: str
    ) -> None:
        super().__init__()
        self._models = dict(models)
        self._slices = tuple(slices)
        self._output_path = output_path

    def expand(self, batches: beam.PCollection[pa.RecordBatch]) -> Any:
        config = eval_config(tuple(self._models), self._slices)
        metrics_path = f"{self._output_path}/{tfma.METRICS_KEY}"
        return batches | "Evaluate" >> tfma.ExtractEvaluateAndWriteResults(
            eval_config=config,
            extractors=[slice_extractor(self._slices)],
            # The default writers add empty files of plots, attributions and validations.
            writers=[
                tfma.writers.EvalConfigWriter(
                    self._output_path, eval_config=config, model_locations=self._models
                ),
                tfma.writers.MetricsPlotsAndValidationsWriter(
                    {tfma.METRICS_KEY: metrics_path}, eval_config=config
                ),
            ],
        )


def load_records(
    output_path: str,
    slices: Iterable[Columns],
    intervals: Mapping[tuple[str, str, str], Estimate] | None = None,
) -> list[Record]:
    """TFMA's output as flat records, ordered by model, slice and metric.

    Args:
      output_path: where `WriteEvaluation` wrote.
      slices: the slices given to it; they order the columns in the slices' names.
      intervals: of some metrics, by model, slice and metric.
    """
    places = {frozenset(columns): (i, columns) for i, columns in enumerate(slices)}
    placed: list[tuple[tuple[Any, ...], Record]] = []
    for result in tfma.load_metrics(output_path):
        pairs = {key.column: key.bytes_value.decode() for key in result.slice_key.single_slice_keys}
        place, columns = places[frozenset(pairs)]
        name = slice_name(tuple((column, pairs[column]) for column in columns))
        values = {
            (item.key.model_name, item.key.name): item.value.double_value.value
            for item in result.metric_keys_and_values
            if not item.key.is_diff
        }
        for (model, metric), value in values.items():
            bounds = (intervals or {}).get((model, name, metric))
            record = Record(
                model=model,
                slice=name,
                metric=metric,
                value=_known(value),
                low=_known(bounds.low) if bounds else None,
                high=_known(bounds.high) if bounds else None,
                examples=round(values[model, "example_count"]),
                positives=round(values[model, "positive_count"]),
            )
            placed.append(((MODELS.index(model), place, name, metric), record))
    return [record for _, record in sorted(placed, key=lambda item: item[0])]


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
