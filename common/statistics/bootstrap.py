"""Paired bootstrap, clustered by setup, of metrics and of differences between models.

Clicks of one setup share an advertiser, a landing page and a product: they are not independent,
and an interval that resamples clicks is too narrow. Here whole setups are drawn with replacement,
as many as there are; all models are measured on the same draw.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from common.arrays import Floats, Indices, Ints
from common.statistics.sums import base_loss, log_loss

CHUNK_BYTES = 1 << 26
"""Memory for resamples that are computed together."""

RIG, LOG_LOSS, CALIBRATION, AUC = "rig", "log_loss", "calibration", "auc"

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

    setup: Ints
    setups: int
    label: Floats
    predictions: dict[str, Floats]

    def __len__(self) -> int:
        return len(self.label)

    def take(self, rows: Indices) -> Scored:
        """The examples at the given row numbers; setups keep their numbers."""
        predictions = {model: p[rows] for model, p in self.predictions.items()}
        return Scored(self.setup[rows], self.setups, self.label[rows], predictions)

    def only(self, models: Iterable[str]) -> Scored:
        """The same examples with the predictions of some of the models."""
        predictions = {model: self.predictions[model] for model in models}
        return Scored(self.setup, self.setups, self.label, predictions)


@dataclass(frozen=True)
class Draws:
    """How intervals are drawn.

    Attributes:
      resamples: how many.
      seed: of the generator.
      confidence: two-sided level of the intervals.
    """

    resamples: int
    seed: int
    confidence: float


@dataclass(frozen=True)
class Estimate:
    """A metric, or that of one model minus that of another on the same examples.

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


@dataclass(frozen=True)
class SetupSums:
    """The sums over examples that log loss, RIG and calibration follow from, setup by setup.

    Attributes:
      weight, label: float64 [setups], number of examples, none of them 0, and of conversions.
      loss: float64 [setups] of each model, log loss in nats.
      prediction: float64 [setups] of each model, predicted probabilities.
    """

    weight: Floats
    label: Floats
    loss: dict[str, Floats]
    prediction: dict[str, Floats]

    @classmethod
    def of(cls, scored: Scored) -> SetupSums:
        """Of examples; setups without any are left out."""
        weight = np.bincount(scored.setup, minlength=scored.setups).astype(np.float64)
        present = weight > 0.0

        def by_setup(values: Floats) -> Floats:
            return np.bincount(scored.setup, values, scored.setups)[present].astype(np.float64)

        return cls(
            weight[present],
            by_setup(scored.label),
            {m: by_setup(log_loss(scored.label, p)) for m, p in scored.predictions.items()},
            {m: by_setup(p) for m, p in scored.predictions.items()},
        )

    def metrics(self, counts: Ints) -> dict[tuple[str, str], Floats]:
        """(model, metric) -> `rig`, `log_loss` and `calibration` (mean prediction over mean label)
        [resamples] of draw counts [resamples, setups]."""
        weight, label = counts @ self.weight, counts @ self.label
        base = base_loss(weight, label)
        resampled: dict[tuple[str, str], Floats] = {}
        with np.errstate(divide="ignore", invalid="ignore"):
            for model, by_setup in self.loss.items():
                loss = counts @ by_setup
                resampled[model, RIG] = 1.0 - loss / base
                resampled[model, LOG_LOSS] = loss / weight
                predicted = counts @ self.prediction[model]
                resampled[model, CALIBRATION] = np.where(label > 0.0, predicted / label, np.nan)
        return resampled


class Bootstrap:
    """Metrics of models on the same examples and on the same resamples of their setups.

    >>> label = np.tile([1.0, 0.0, 0.0, 0.0, 0.0], 40)
    >>> predictions = {"sharp": np.where(label > 0, 0.6, 0.1), "mean": np.full(200, 0.2)}
    >>> scored = Scored(np.arange(200) % 20, 20, label, predictions)
    >>> bootstrap = Bootstrap(scored, Draws(200, seed=1, confidence=0.9), with_auc=False)
    >>> sharper = bootstrap.difference("sharp", "mean", RIG)
    >>> round(sharper.estimate, 3), sharper.low > 0, sharper.setups
    (0.627, True, 20)

    Args:
      scored: the examples.
      draws: how the setups are drawn.
      with_auc: whether AUC is measured too, which takes more than sums.
    """

    def __init__(self, scored: Scored, draws: Draws, *, with_auc: bool) -> None:
        self._draws = draws
        sums = SetupSums.of(scored)
        self.setups = len(sums.weight)
        areas: dict[str, ResampledAuc] = {}
        if with_auc:
            _, setup = np.unique(scored.setup, return_inverse=True)
            areas = {
                model: ResampledAuc(setup, self.setups, scored.label, prediction)
                for model, prediction in scored.predictions.items()
            }
        keys = [(m, metric) for m in scored.predictions for metric in (RIG, LOG_LOSS, CALIBRATION)]
        keys += [(model, AUC) for model in areas]
        self._place = {key: i for i, key in enumerate(keys)}

        def measured(counts: Ints) -> Floats:
            resampled = sums.metrics(counts)
            resampled |= {(model, AUC): area(counts) for model, area in areas.items()}
            return np.stack([resampled[key] for key in keys], axis=1)

        width = round(float(scored.label.sum())) if areas else 0
        self._estimate = measured(np.ones((1, self.setups), np.int64))[0]
        self._drawn = resampled(
            self.setups, draws.resamples, draws.seed, measured, max(self.setups, width)
        )

    def value(self, model: str, metric: str) -> Estimate:
        """`rig`, `log_loss` (nats), `calibration` or, where measured, `auc` of a model."""
        i = self._place[model, metric]
        return self._summary(float(self._estimate[i]), self._drawn[:, i])

    def difference(self, model: str, other: str, metric: str) -> Estimate:
        """The metric of `model` minus that of `other`."""
        i, j = self._place[model, metric], self._place[other, metric]
        estimate = float(self._estimate[i] - self._estimate[j])
        return self._summary(estimate, self._drawn[:, i] - self._drawn[:, j])

    def _summary(self, estimate: float, drawn: Floats) -> Estimate:
        return summarised(estimate, drawn, self._draws.confidence, self.setups)


class ResampledAuc:
    """AUC when every setup counts as often as it was drawn.

    The wins of a positive are the weights of the negatives ranked below it. `_steps` [positives +
    1, setups] holds, for each setup, how many of its negatives come to lie below at each rank of
    the positives, a tie half at either end: multiplied by the draw counts and summed up along the
    ranks, that is the wins. One sparse product serves many resamples.
    """

    def __init__(self, setup: Ints, clusters: int, label: Floats, prediction: Floats) -> None:
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
        return metric(np.empty((0, clusters), np.int64))
    generator = np.random.default_rng(seed)
    chunk = max(1, CHUNK_BYTES // (8 * (width or clusters)))
    values = []
    for start in range(0, resamples, chunk):
        size = min(chunk, resamples - start)
        # How often each cluster is drawn in `clusters` draws with replacement.
        counts = generator.multinomial(clusters, np.full(clusters, 1.0 / clusters), size)
        values.append(metric(counts))
    return np.concatenate(values)


def summarised(estimate: float, drawn: Floats, confidence: float, setups: int) -> Estimate:
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
    return Estimate(estimate, low, high, len(drawn), setups)
