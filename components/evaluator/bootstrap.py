"""Paired bootstrap, clustered by setup, of the difference between two models.

Clicks of one setup share an advertiser, a landing page and a product: they are not independent,
and an interval that resamples clicks is too narrow. Here whole setups are drawn with replacement,
as many as there are; both models are measured on the same draw.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.evaluator.sums import Floats, base_loss, log_loss
from components.evaluator.table import Scored

Counts = npt.NDArray[np.int64]

CHUNK_BYTES = 1 << 26
"""Memory for the draw counts of resamples that are computed together."""

MIN_DEFINED = 0.95
"""Share of resamples on which the metric must be defined for an interval to be given."""


@dataclass(frozen=True)
class Difference:
    """Metric of one model minus that of another, on the same examples.

    Attributes:
      estimate: on the examples themselves; NaN where the metric is not defined.
      low, high: bootstrap percentiles; NaN when more than 1 - MIN_DEFINED of the resamples leave
        the metric undefined (no conversion drawn).
      resamples: how many were drawn.
      setups: clusters that were drawn from.
    """

    estimate: float
    low: float
    high: float
    resamples: int
    setups: int


def loss_differences(
    scored: Scored, model: str, other: str, *, resamples: int, seed: int, confidence: float
) -> dict[str, Difference]:
    """Differences of `rig` and `log_loss` (nats), `model` minus `other`.

    Both are functions of sums over examples, so a resample needs only each setup's sums.
    """
    columns = [
        np.ones(len(scored)),
        scored.label,
        log_loss(scored.label, scored.predictions[model]),
        log_loss(scored.label, scored.predictions[other]),
    ]
    per_setup = [np.bincount(scored.setup, column, scored.setups) for column in columns]
    sums: Floats = np.stack(per_setup, axis=1).astype(np.float64)
    sums = sums[sums[:, 0] > 0.0]

    def differences(totals: Floats) -> Floats:
        weight, label, loss, other_loss = totals.T
        with np.errstate(divide="ignore", invalid="ignore"):
            rig = (other_loss - loss) / base_loss(weight, label)
            return np.stack([rig, (loss - other_loss) / weight], axis=1)

    drawn = _resampled(len(sums), resamples, seed, lambda counts: differences(counts @ sums))
    estimate = differences(sums.sum(axis=0, keepdims=True))[0]
    return {
        name: _difference(float(estimate[i]), drawn[:, i], confidence, len(sums))
        for i, name in enumerate(("rig", "log_loss"))
    }


def auc_difference(
    scored: Scored, model: str, other: str, *, resamples: int, seed: int, confidence: float
) -> Difference:
    """Difference of AUC, `model` minus `other`; ties count half.

    Costs a pass over the sorted examples for each resample.
    """
    present, setup = np.unique(scored.setup, return_inverse=True)
    areas = [_WeightedAuc(scored.label, scored.predictions[name]) for name in (model, other)]

    def differences(weights: Floats) -> float:
        return areas[0](weights) - areas[1](weights)

    drawn = _resampled(
        len(present),
        resamples,
        seed,
        lambda counts: np.array([[differences(row[setup].astype(np.float64))] for row in counts]),
    )
    estimate = differences(np.ones(len(scored)))
    return _difference(estimate, drawn[:, 0], confidence, len(present))


class _WeightedAuc:
    """AUC of fixed labels [n] and predictions [n] under changing example weights [n]."""

    def __init__(self, label: Floats, prediction: Floats) -> None:
        self._order = np.argsort(prediction, kind="stable")
        ranked = prediction[self._order]
        self._positive = label[self._order]
        self._starts = np.flatnonzero(np.diff(ranked, prepend=np.nan) != 0.0)
        self._defined = len(label) > 0 and bool(np.isfinite(prediction).all())

    def __call__(self, weight: Floats) -> float:
        if not self._defined:
            return math.nan
        ranked = weight[self._order]
        # One entry per distinct prediction, so that ties are seen.
        positives = np.add.reduceat(ranked * self._positive, self._starts)
        negatives = np.add.reduceat(ranked * (1.0 - self._positive), self._starts)
        pairs = float(positives.sum() * negatives.sum())
        if pairs <= 0.0:
            return math.nan
        below = np.cumsum(negatives) - negatives
        return float(positives @ (below + 0.5 * negatives)) / pairs


def _resampled(
    clusters: int, resamples: int, seed: int, metric: Callable[[Counts], Floats]
) -> Floats:
    """The metric's values [resamples, k] on draw counts [resamples, clusters]."""
    if clusters == 0 or resamples == 0:
        return np.empty((0, 2))
    generator = np.random.default_rng(seed)
    chunk = max(1, CHUNK_BYTES // (8 * clusters))
    values = []
    for start in range(0, resamples, chunk):
        size = min(chunk, resamples - start)
        # How often each cluster is drawn in `clusters` draws with replacement.
        counts = generator.multinomial(clusters, np.full(clusters, 1.0 / clusters), size)
        values.append(metric(counts))
    return np.concatenate(values)


def _difference(estimate: float, drawn: Floats, confidence: float, setups: int) -> Difference:
    defined = drawn[np.isfinite(drawn)]
    low = high = math.nan
    if len(drawn) and len(defined) >= MIN_DEFINED * len(drawn):
        tail = (1.0 - confidence) / 2.0
        low, high = (float(q) for q in np.quantile(defined, (tail, 1.0 - tail)))
    return Difference(estimate, low, high, len(drawn), setups)
