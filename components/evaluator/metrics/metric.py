"""How a metric is defined here: a combiner run once per model, and values derived from it.

An extract may hold one example, as TFMA's own extractors emit, or many: arrays of labels and
predictions are paired element by element, so that `components.evaluator.metrics.slice_rows` can
hand over all rows of a slice at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics import metric_types, metric_util

from common.arrays import Floats

Reader = Callable[[Any], tuple[Floats, Floats, Floats]]
"""Labels, predictions and weights of an extract, float64 [n] each, n >= 1."""


def derived(
    combiner: Callable[[tfma.metrics.MetricKey, Reader], beam.CombineFn],
    value: Callable[[Any], float],
) -> Callable[..., list[Any]]:
    """Computations of a metric that is a function of a combiner's state, for every model.

    Args:
      combiner: called with the key that its output is stored under and the reader of its inputs.
        TFMA runs it once per model and slice, however many metrics share it.
      value: the metric, given the combiner's output.
    """
    state_name = f"_{combiner.__name__.strip('_').lower()}"

    def computations(
        name: str,
        eval_config: tfma.EvalConfig | None = None,
        model_name: str = "",
        output_name: str = "",
        example_weighted: bool = False,
    ) -> list[Any]:
        state_key, key = (
            metric_types.MetricKey(of, model_name, output_name, example_weighted=example_weighted)
            for of in (state_name, name)
        )

        def read(element: Any) -> tuple[Floats, Floats, Floats]:
            return _example_arrays(element, state_key, eval_config)

        def result(metrics: dict[Any, Any]) -> dict[Any, float]:
            return {key: value(metrics[state_key])}

        return [
            metric_types.MetricComputation(
                keys=[state_key], preprocessors=None, combiner=combiner(state_key, read)
            ),
            metric_types.DerivedMetricComputation(keys=[key], result=result),
        ]

    merged: Callable[..., list[Any]] = metric_util.merge_per_key_computations(computations)
    return merged


def _example_arrays(
    element: Any, key: tfma.metrics.MetricKey, config: tfma.EvalConfig | None
) -> tuple[Floats, Floats, Floats]:
    label, prediction, weight = next(
        metric_util.to_label_prediction_example_weight(
            element,
            eval_config=config,
            model_name=key.model_name,
            output_name=key.output_name,
            example_weighted=bool(key.example_weighted),
            flatten=False,
            squeeze=False,
        )
    )
    labels = np.asarray(label, np.float64).reshape(-1)
    predictions = np.asarray(prediction, np.float64).reshape(-1)
    if labels.shape != predictions.shape:
        raise ValueError(
            f"{len(labels)} labels and {len(predictions)} predictions of model "
            f"{key.model_name!r}; wanted as many"
        )
    weights = np.asarray(weight, np.float64).reshape(-1)
    return labels, predictions, np.broadcast_to(weights, labels.shape)
