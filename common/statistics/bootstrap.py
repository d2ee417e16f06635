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
from scipy.sparse import csr_array

from common.arrays import Floats, Ints
from common.statistics.sums import base_loss, log_loss

CHUNK_BYTES = 1 << 26
"""Memory for resamples that are computed together."""

MIN_DEFINED = 0.95
"""Share of resamples on which the metric must be defined for an interval to be given."""


@dataclass(frozen=True)
class Scored:
    """Examples with their setup and the predictions of some models, row i being example i.

    Attributes:
      setup: int64 [n], the setup's number in [0, setups).
      setups: number of distinct setups.
      label: float64 [n], 0 or 1.
      predictions: float64 [n] for each model.
    """

    setup: npt.NDArray[np.int64]
    setups: int
    label: Floats
    predictions: dict[str, Floats]

    def __len__(self) -> int:
        return len(self.label)

    def take(self, rows: npt.NDArray[np.intp]) -> Scored:
        """The examples at the given row numbers; setups keep their numbers."""
        predictions = {model: p[rows] for model, p in self.predictions.items()}
        return Scored(self.setup[rows], self.setups, self.label[rows], predictions)


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

    >>> label = np.tile([1.0, 0.0, 0.0, 0.0, 0.0], 40)
    >>> predictions = {"sharp": np.where(label > 0, 0.6, 0.1), "mean": np.full(200, 0.2)}
    >>> scored = Scored(np.arange(200) % 20, 20, label, predictions)
    >>> sharper = loss_differences(
    ...     scored, "sharp", "mean", resamples=200, seed=1, confidence=0.9
    ... )["rig"]
    >>> round(sharper.estimate, 3), sharper.low > 0, sharper.setups
    (0.627, True, 20)
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

    drawn = resampled(len(sums), resamples, seed, lambda counts: differences(counts @ sums))
    estimate = differences(sums.sum(axis=0, keepdims=True))[0]
    return {
        name: summarised(float(estimate[i]), drawn[:, i], confidence, len(sums))
        for i, name in enumerate(("rig", "log_loss"))
    }


def auc_difference(
    scored: Scored, model: str, other: str, *, resamples: int, seed: int, confidence: float
) -> Difference:
    """Difference of AUC, `model` minus `other`; ties count half, labels are 0 or 1."""
    present, setup = np.unique(scored.setup, return_inverse=True)
    clusters = len(present)
    areas = [
        ResampledAuc(setup, clusters, scored.label, scored.predictions[name])
        for name in (model, other)
    ]

    def differences(counts: Ints) -> Floats:
        return (areas[0](counts) - areas[1](counts))[:, None]

    width = max(clusters, round(float(scored.label.sum())))
    drawn = resampled(clusters, resamples, seed, differences, width)
    estimate = differences(np.ones((1, clusters), np.int64))[0, 0]
    return summarised(float(estimate), drawn[:, 0], confidence, clusters)


class ResampledAuc:
    """AUC when every setup counts as often as it was drawn.

    The wins of a positive are the weights of the negatives ranked below it. `_steps` [positives +
    1, setups] holds, for each setup, how many of its negatives come to lie below at each rank of
    the positives, a tie half at either end: multiplied by the draw counts and summed up along the
    ranks, that is the wins. One sparse product serves many resamples.
    """

    def __init__(
        self, setup: npt.NDArray[np.int64], clusters: int, label: Floats, prediction: Floats
    ) -> None:
        positive = label > 0.5
        order = np.argsort(prediction[positive], kind="stable")
        ranked = prediction[positive][order]
        negatives, their_setup = prediction[~positive], setup[~positive]
        ranks = np.concatenate(
            [
                np.searchsorted(ranked, negatives, side="left"),
                np.searchsorted(ranked, negatives, side="right"),
            ]
        )
        self._steps = csr_array(
            (np.full(len(ranks), 0.5), (ranks, np.tile(their_setup, 2))),
            shape=(len(ranked) + 1, clusters),
        )
        self._setup = setup[positive][order]
        self._positives = np.bincount(self._setup, minlength=clusters)
        self._negatives = np.bincount(their_setup, minlength=clusters)
        self._defined = bool(np.isfinite(prediction).all())

    def __call__(self, counts: Ints) -> Floats:
        """AUC [resamples] of draw counts [resamples, setups]; NaN where it is not defined."""
        pairs = (counts @ self._positives) * (counts @ self._negatives)
        if not self._defined:
            return np.full(len(counts), np.nan)
        beaten = np.cumsum(self._steps @ counts.T.astype(np.float64), axis=0)[:-1]
        wins = np.einsum("pr,pr->r", beaten, counts.T[self._setup])
        area: Floats = np.divide(wins, pairs, out=np.full(len(counts), np.nan), where=pairs > 0)
        return area


def resampled(
    clusters: int,
    resamples: int,
    seed: int,
    metric: Callable[[Ints], Floats],
    width: int | None = None,
) -> Floats:
    """The metric's values [resamples, k] on draw counts [resamples, clusters].

    Args:
      width: numbers that the metric holds for one resample; the clusters if not given.
    """
    if clusters == 0 or resamples == 0:
        return np.empty((0, 2))
    generator = np.random.default_rng(seed)
    chunk = max(1, CHUNK_BYTES // (8 * (width or clusters)))
    values = []
    for start in range(0, resamples, chunk):
        size = min(chunk, resamples - start)
        # How often each cluster is drawn in `clusters` draws with replacement.
        counts = generator.multinomial(clusters, np.full(clusters, 1.0 / clusters), size)
        values.append(metric(counts))
    return np.concatenate(values)


def summarised(estimate: float, drawn: Floats, confidence: float, setups: int) -> Difference:
    """An estimate with the percentiles of its resamples [n].

    Args:
      confidence: two-sided level of the interval.
      setups: clusters that were drawn from.
    """
    defined = drawn[np.isfinite(drawn)]
    low = high = math.nan
    if len(drawn) and len(defined) >= MIN_DEFINED * len(drawn):
        tail = (1.0 - confidence) / 2.0
        low, high = (float(q) for q in np.quantile(defined, (tail, 1.0 - tail)))
    return Difference(estimate, low, high, len(drawn), setups)
