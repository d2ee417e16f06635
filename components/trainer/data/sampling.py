"""Down-sampling of negatives, and the logits that undo it."""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import numpy as np

from common.arrays import Bools, Floats32
from components.trainer.data.columns import Columns
from components.trainer.settings import Mode, SamplingSettings
from schemas.errors import InputError

_STREAM = 0x5A3F1E
"""Third word of the draw's seed: apart from those of the batches, which have two."""


class Kept(NamedTuple):
    """Examples left by sampling.

    Attributes:
      columns: the examples, with their weights after it.
      mask: which they are of those before, bool [n]; none where all are.
    """

    columns: Columns
    mask: Bools | None


def sample_negatives(columns: Columns, settings: SamplingSettings, mode: Mode, seed: int) -> Kept:
    """All conversions, and each other example with its task's share, in their order.

    The draw is a function of the settings, the seed and the examples' places: a larger share keeps
    what a smaller one keeps, and more. Under the correction by weight a kept negative weighs
    1 / share times what it weighed.

    Args:
      columns: the training split.
      settings: shares and correction.
      mode: the network's.
      seed: of the training.

    Raises:
      InputError: no hard example is left.
    """
    if not _samples(settings):
        return Kept(columns, None)
    mask = np.empty(len(columns), np.bool_)
    draws = np.random.default_rng([seed, 0, _STREAM])
    for rows, block in columns.blocks():
        mask[rows] = draws.random(len(block), np.float32) < _shares(block, settings)
    kept = columns.take(mask)
    if not kept.hard.any():
        raise InputError(
            f"training.sampling.keep_negatives_hard {settings.keep_negatives_hard}: none of the "
            f"{int(columns.hard.sum())} hard training examples is kept; wanted at least one "
            "(keep a larger share)"
        )
    if not corrects_by_weight(settings, mode):
        return Kept(kept, mask)
    weights = kept.storage.rows((), np.float32, len(kept))
    for _, block in kept.blocks():
        weight = 1 / _shares(block, settings)
        weights.append(weight if block.weight is None else weight * block.weight)
    return Kept(dataclasses.replace(kept, weight=weights.finish()), mask)


def _shares(columns: Columns, settings: SamplingSettings) -> Floats32:
    """Share of its like that each example stands for, if it is kept."""
    shares = settings.keep_negatives_soft, settings.keep_negatives_hard
    share = np.array(shares, np.float32)[columns.hard.view(np.uint8)]
    share[columns.label > 0] = 1
    return share


def logit_shifts(settings: SamplingSettings, mode: Mode) -> tuple[float, float]:
    """What the loss adds to the logits of hard and of soft examples: -log(share kept), or 0.

    With every conversion kept, and a share w of the rest, the odds among the kept examples are
    1 / w times the odds q / (1 - q) among all, so that

        p = q / (q + (1 - q) w)      logit(p) = logit(q) - log(w)

    Training sigmoid(z - log w) against the kept labels therefore leaves z = logit(q). Solved for
    q this is q = p / (p + (1 - p) / w), equation 4 of He et al., "Practical Lessons from
    Predicting Clicks on Ads at Facebook", ADKDD 2014; as an offset it is the prior correction of
    King and Zeng, "Logistic Regression in Rare Events Data", Political Analysis 9(2), 2001.
    """
    if corrects_by_weight(settings, mode):
        return 0.0, 0.0
    return -math.log(settings.keep_negatives_hard), -math.log(settings.keep_negatives_soft)


def corrects_by_weight(settings: SamplingSettings, mode: Mode) -> bool:
    """Whether kept negatives weigh more, rather than logits being shifted."""
    if not _samples(settings):
        return False
    differ = settings.keep_negatives_hard != settings.keep_negatives_soft
    return settings.correction == "weight" or (mode == "one_task" and differ)


def _samples(settings: SamplingSettings) -> bool:
    return min(settings.keep_negatives_hard, settings.keep_negatives_soft) < 1
