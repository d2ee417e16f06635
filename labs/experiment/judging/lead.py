"""How far the best of many trials is ahead of the present settings, and what of that is chance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from common.arrays import Floats, Ints
from common.statistics.bootstrap import Draws, Estimate, resampled
from common.statistics.sums import log_loss
from labs.experiment.judging.statistics import Judged, loss_difference


@dataclass(frozen=True)
class Lead:
    """Log loss of the present settings minus that of the best trial, nats: above 0 it is better.

    Attributes:
      difference: on all examples, with the interval of this one comparison: that the trial was
        chosen for it is not in it.
      left_out: on setups that had no part in the choice, mean over resamples: of each, the trial
        that is best on the setups drawn is compared on the setups not drawn. NaN when none are.
    """

    difference: Estimate
    left_out: float

    @property
    def clear(self) -> bool:
        """Whether neither the setups and seeds nor the choice explain it."""
        return self.difference.low > 0 and self.left_out > 0


def lead(judged: Judged, trials: Sequence[Sequence[Floats]], best: int, draws: Draws) -> Lead:
    """The lead of one trial over the first.

    Args:
      trials: predictions [n] of each seed by trial, the present settings' first.
      best: place of the best trial.
    """
    difference = loss_difference(judged, trials[best], trials[0], draws)
    return Lead(difference.within(draws.confidence), _left_out(judged, trials, draws))


def _left_out(judged: Judged, trials: Sequence[Sequence[Floats]], draws: Draws) -> float:
    losses = [np.mean([log_loss(judged.label, p) for p in seeds], axis=0) for seeds in trials]
    loss = np.stack([np.bincount(judged.setup, v, judged.setups) for v in losses], axis=1)
    examples = np.bincount(judged.setup, minlength=judged.setups)

    def gains(counts: Ints) -> Floats:
        chosen = np.argmin(counts @ loss, axis=1)
        others = (counts == 0).astype(np.float64)
        unseen = others @ loss
        gain = unseen[:, 0] - np.take_along_axis(unseen, chosen[:, None], axis=1)[:, 0]
        with np.errstate(invalid="ignore"):
            lead: Floats = (gain / (others @ examples))[:, None]
        return lead

    drawn = resampled(judged.setups, draws.resamples, draws.seed, gains)[:, 0]
    defined = drawn[np.isfinite(drawn)]
    return float(defined.mean()) if len(defined) else math.nan
