"""Relative information gain as a metric of TensorFlow Model Analysis.

Equation 2 of the paper, averaged over the examples of a slice:

    RIG = 1 - mean(-c log p - (1-c) log(1-p)) / (-gamma log gamma - (1-gamma) log(1-gamma))

c is the observed conversion (0 or 1), p the predicted probability and gamma the slice's own mean
of c. RIG is 1 for a perfect model, 0 for the constant gamma and below 0 for anything worse. Since
gamma is a property of the examples, RIG may be compared between models on the same examples only.
A slice without positives or without negatives has no entropy: its RIG is NaN. p is clipped, see
`common.statistics.sums.CLIP`. With example weights, both means are weighted.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import apache_beam as beam
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics import metric_types

from common.statistics.sums import Sums
from components.evaluator.metrics.metric import Reader, derived


class LossSums(beam.CombineFn):
    """Adds up `Sums` of one model's examples; log loss, calibration and means follow as well."""

    def __init__(self, key: tfma.metrics.MetricKey, read: Reader) -> None:
        self._key = key
        self._read = read

    def create_accumulator(self) -> Sums:
        return Sums()

    def add_input(self, accumulator: Sums, element: Any) -> Sums:
        return accumulator + Sums.of(*self._read(element))

    def merge_accumulators(self, accumulators: Iterable[Sums]) -> Sums:
        return sum(accumulators, start=Sums())

    def extract_output(self, accumulator: Sums) -> dict[tfma.metrics.MetricKey, Sums]:
        return {self._key: accumulator}


class RIG(tfma.metrics.Metric):
    """Relative information gain (see the module), named `rig`."""

    def __init__(self, name: str = "rig") -> None:
        super().__init__(derived(LossSums, lambda sums: sums.rig), name=name)


metric_types.register_metric(RIG)
