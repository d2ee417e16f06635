"""Metrics of arms over seeds, and differences between two arms with intervals.

Both arms are trained with the same seeds on the same examples, so that they are compared seed by
seed. With D[u, s] the sum over the examples of setup u of the losses of the one minus those of the
other in seed s, and H the loss of the constant mean, the difference of RIG is mean_s sum_u D[u, s]
/ H. A resample draws setups with replacement, jointly for all seeds and both arms, and seeds with
replacement: the interval covers other setups and other seeds. With one seed it covers setups
alone. Predictions are never averaged over seeds: an average of networks is another model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from common.arrays import Floats, Ints
from common.statistics.bootstrap import Draws, Estimate, ResampledAuc, resampled, summarised
from common.statistics.sums import base_loss, log_loss
from labs.experiment.judging.expected_auc import ResampledExpectedAuc

SEED_STREAM, WORLD_STREAM = 7919, 104_729
"""Keep the draws of seeds, and of worlds, apart from those of setups."""


@dataclass(frozen=True)
class Difference:
    """A metric of one arm minus that of another, as far as resamples tell.

    Attributes:
      estimate: on the examples themselves; NaN where the metric is not defined.
      drawn: float64 [resamples].
      setups: clusters that were drawn from.
    """

    estimate: float
    drawn: Floats
    setups: int

    def within(self, confidence: float) -> Estimate:
        """With its interval."""
        return summarised(self.estimate, self.drawn, confidence, self.setups)


@dataclass(frozen=True)
class Judged:
    """The examples that arms are compared on, row i of every array being example i.

    Attributes:
      setup: int64 [n], the setup's number in [0, setups), each number in use.
      label: float64 [n], 0 or 1.
      truth: float64 [n], the true probability; None where it is not known.
    """

    setup: Ints
    setups: int
    label: Floats
    truth: Floats | None

    def __len__(self) -> int:
        return len(self.label)

    @classmethod
    def of(cls, setup: Ints, label: Floats, truth: Floats | None) -> Judged:
        """Renumbers setups, so that only those with examples are drawn from."""
        present, number = np.unique(setup, return_inverse=True)
        return cls(number, len(present), label, truth)


def rig(target: Floats, prediction: Floats) -> float:
    """Relative information gain (paper, equation 2); NaN when all labels are alike.

    Args:
      target: labels, or true probabilities: then it is the expected RIG, 1 - E[log loss] / H(mean
        of the true probabilities), the expectation being over the conversions.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        loss = log_loss(target, prediction).sum()
        return float(1.0 - loss / base_loss(len(target), target.sum()))


def calibration(target: Floats, prediction: Floats) -> float:
    """Mean prediction over mean target; NaN without conversions."""
    total = float(target.sum())
    return float(prediction.sum()) / total if total > 0 else math.nan


def level(judged: Judged, target: Floats, predictions: Sequence[Floats], draws: Draws) -> Estimate:
    """Mean prediction over mean target, averaged over seeds; the interval is over setups and seeds.

    Args:
      target: labels or true probabilities.
      predictions: [n] of each seed.
    """
    expected = np.stack([_by_setup(judged, p) for p in predictions], axis=1)
    observed = _by_setup(judged, target)
    seeds = np.random.default_rng([draws.seed, SEED_STREAM])

    def ratios(counts: Ints) -> Floats:
        shares = _seed_shares(seeds, len(predictions), len(counts))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio: Floats = (((counts @ expected) * shares).sum(axis=1) / (counts @ observed))[
                :, None
            ]
        return ratio

    drawn = resampled(judged.setups, draws.resamples, draws.seed, ratios)
    estimate = float(np.mean([calibration(target, p) for p in predictions]))
    return summarised(estimate, drawn[:, 0], draws.confidence, judged.setups)


def rig_difference(
    judged: Judged,
    target: Floats,
    ones: Sequence[Floats],
    others: Sequence[Floats],
    draws: Draws,
) -> Difference:
    """RIG of the one arm minus that of the other.

    Args:
      target: labels or true probabilities, see `rig`.
      ones, others: predictions [n] of each seed, in the same order of seeds.
    """
    return _gain(judged, target, ones, others, draws, base_loss)


def loss_difference(
    judged: Judged, ones: Sequence[Floats], others: Sequence[Floats], draws: Draws
) -> Difference:
    """Mean log loss of the other arm minus that of the one, nats: above 0 the one is better.

    Args: see `rig_difference`.
    """
    return _gain(judged, judged.label, ones, others, draws, lambda examples, _: examples)


def _gain(
    judged: Judged,
    target: Floats,
    ones: Sequence[Floats],
    others: Sequence[Floats],
    draws: Draws,
    scale: Callable[[Floats, Floats], Floats],
) -> Difference:
    """What the one arm loses less, by a scale of the number and the sum of the targets."""
    gains = [
        _by_setup(judged, log_loss(target, other) - log_loss(target, one))
        for one, other in zip(ones, others, strict=True)
    ]
    gain = np.stack(gains, axis=1)
    examples, total = _by_setup(judged, np.ones(len(judged))), _by_setup(judged, target)
    seeds = np.random.default_rng([draws.seed, SEED_STREAM])

    def differences(counts: Ints) -> Floats:
        shares = _seed_shares(seeds, len(ones), len(counts))
        drawn = ((counts @ gain) * shares).sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            difference: Floats = (drawn / scale(counts @ examples, counts @ total))[:, None]
        return difference

    drawn = resampled(judged.setups, draws.resamples, draws.seed, differences)
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate = float(gain.sum() / len(ones) / scale(examples.sum(), total.sum()))
    return Difference(estimate, drawn[:, 0], judged.setups)


@dataclass(frozen=True)
class Areas:
    """An arm's AUC in each seed.

    Attributes:
      estimates: float64 [seeds], on the examples themselves.
      drawn: float64 [resamples, seeds], on the resamples of setups that `draws` decides.
    """

    estimates: Floats
    drawn: Floats


def areas(judged: Judged, predictions: Sequence[Floats], draws: Draws) -> Areas:
    """The AUCs of an arm on labels: costly, and the same for all claims about the arm.

    Args:
      predictions: [n] of each seed.
    """
    width = max(judged.setups, round(float(judged.label.sum())))
    by_seed = (ResampledAuc(judged.setup, judged.setups, judged.label, p) for p in predictions)
    return _areas(judged, by_seed, draws, width)


def expected_areas(
    judged: Judged, truth: Floats, predictions: Sequence[Floats], draws: Draws
) -> Areas:
    """The AUCs of an arm in expectation over the labels, as `areas`.

    Args:
      truth: true probabilities [n].
    """
    by_seed = (ResampledExpectedAuc(judged.setup, judged.setups, truth, p) for p in predictions)
    return _areas(judged, by_seed, draws, judged.setups)


def _areas(
    judged: Judged, by_seed: Iterable[Callable[[Ints], Floats]], draws: Draws, width: int
) -> Areas:
    """What functions of draw counts, one a seed, give; each is let go before the next."""
    whole = np.ones((1, judged.setups), np.int64)
    seeds = [
        (
            area(whole)[0],
            resampled(judged.setups, draws.resamples, draws.seed, area, width),
        )
        for area in by_seed
    ]
    return Areas(np.array([e for e, _ in seeds]), np.stack([d for _, d in seeds], axis=1))


def auc_difference(judged: Judged, one: Areas, other: Areas, draws: Draws) -> Difference:
    """AUC of the one arm minus that of the other, both of the same examples, seeds and draws."""
    seeds = np.random.default_rng([draws.seed, SEED_STREAM])
    gain = one.drawn - other.drawn
    drawn = (gain * _seed_shares(seeds, gain.shape[1], len(gain))).sum(axis=1)
    estimate = float((one.estimates - other.estimates).mean())
    return Difference(estimate, drawn, judged.setups)


def over_worlds(worlds: Sequence[Difference], draws: Draws) -> Difference:
    """The mean difference of independent worlds, of the same two arms by the same metric.

    A resample draws worlds with replacement, and of each world drawn one of its own resamples: the
    interval covers other worlds, setups and seeds. Of one world it is the world's own. Few worlds
    understate the spread between them by (W-1)/W in variance, as few seeds do.
    """
    stream = np.random.default_rng([draws.seed, WORLD_STREAM])
    shape = (draws.resamples, len(worlds))
    world = stream.integers(0, len(worlds), shape)
    drawn = np.stack([one.drawn for one in worlds])
    within = stream.integers(0, drawn.shape[1], shape) if len(worlds) > 1 else _in_order(shape)
    return Difference(
        float(np.mean([one.estimate for one in worlds])),
        drawn[world, within].mean(axis=1),
        sum(one.setups for one in worlds),
    )


def _in_order(shape: tuple[int, int]) -> Ints:
    place: Ints = np.arange(shape[0])[:, None]
    return place


def _by_setup(judged: Judged, values: Floats) -> Floats:
    return np.bincount(judged.setup, values, judged.setups).astype(np.float64)


def _seed_shares(generator: np.random.Generator, seeds: int, resamples: int) -> Floats:
    """How much each seed counts in each resample, rows adding up to 1."""
    drawn = generator.multinomial(seeds, np.full(seeds, 1.0 / seeds), resamples)
    return drawn / seeds
