"""Metrics of TensorFlow Model Analysis that follow from the same sums as RIG.

TFMA has metrics of these meanings, but they loop over examples in Python and its cross entropy is
infinite for a prediction of exactly 0 or 1. An EvalConfig names these classes with their module.
"""

from __future__ import annotations

import tensorflow_model_analysis as tfma

from components.evaluator.metrics.metric import derived
from components.evaluator.metrics.rig import LossSums


class ClippedLogLoss(tfma.metrics.Metric):
    """Mean log loss, nats, of predictions clipped as for RIG."""

    def __init__(self, name: str = "log_loss") -> None:
        super().__init__(derived(LossSums, lambda sums: sums.log_loss), name=name)


class CalibrationRatio(tfma.metrics.Metric):
    """Mean prediction over mean label; NaN without conversions."""

    def __init__(self, name: str = "calibration") -> None:
        super().__init__(derived(LossSums, lambda sums: sums.calibration), name=name)


class LabelMean(tfma.metrics.Metric):
    """Mean label: the observed conversion rate."""

    def __init__(self, name: str = "mean_label") -> None:
        super().__init__(derived(LossSums, lambda sums: sums.mean_label), name=name)


class PredictionMean(tfma.metrics.Metric):
    """Mean predicted probability."""

    def __init__(self, name: str = "mean_prediction") -> None:
        super().__init__(derived(LossSums, lambda sums: sums.mean_prediction), name=name)


class ExampleTotal(tfma.metrics.Metric):
    """Number of examples, or their total weight."""

    def __init__(self, name: str = "example_count") -> None:
        super().__init__(derived(LossSums, lambda sums: sums.weight), name=name)


class PositiveTotal(tfma.metrics.Metric):
    """Number of conversions, or their total weight."""

    def __init__(self, name: str = "positive_count") -> None:
        super().__init__(derived(LossSums, lambda sums: sums.label), name=name)
