"""AUC and area under the precision-recall curve as metrics of TensorFlow Model Analysis.

Both come from one `Histogram` per slice and model. TFMA's own AUC fills linear buckets on [0, 1]
in a loop over examples: slow, and coarse where rare conversions lie.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import apache_beam as beam
import tensorflow_model_analysis as tfma

from common.statistics.histogram import Histogram
from components.evaluator.metrics.metric import Reader, derived

PENDING = 1 << 15
"""Bins that histograms waiting to be merged may hold together."""

Parts = list[Histogram]


class LogitHistogram(beam.CombineFn):
    """Merges histograms, several at a time: the first part is what has been merged so far."""

    def __init__(self, key: tfma.metrics.MetricKey, read: Reader) -> None:
        self._key = key
        self._read = read

    def create_accumulator(self) -> Parts:
        return [Histogram.empty()]

    def add_input(self, accumulator: Parts, element: Any) -> Parts:
        accumulator.append(Histogram.of(*self._read(element)))
        pending = sum(len(part.bins) for part in accumulator[1:])
        return self.compact(accumulator) if pending > PENDING else accumulator

    def merge_accumulators(self, accumulators: Iterable[Parts]) -> Parts:
        return self.compact([part for parts in accumulators for part in parts])

    def compact(self, accumulator: Parts) -> Parts:
        return [Histogram.empty().merge(*accumulator)]

    def extract_output(self, accumulator: Parts) -> dict[tfma.metrics.MetricKey, Histogram]:
        return {self._key: self.compact(accumulator)[0]}


class LogitAUC(tfma.metrics.Metric):
    """Area under the ROC curve, named `auc`; ties within a bin count half."""

    def __init__(self, name: str = "auc") -> None:
        super().__init__(derived(LogitHistogram, lambda histogram: histogram.auc), name=name)


class LogitAveragePrecision(tfma.metrics.Metric):
    """Area under the precision-recall curve in steps, named `auc_precision_recall`."""

    def __init__(self, name: str = "auc_precision_recall") -> None:
        super().__init__(
            derived(LogitHistogram, lambda histogram: histogram.average_precision), name=name
        )
