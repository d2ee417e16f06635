"""Which rows of a split a training or an evaluation sees."""

from __future__ import annotations

import zlib
from typing import Literal

import numpy as np
import pyarrow as pa

from common.arrays import Bools, Floats, Ints
from common.days import SECONDS_PER_DAY
from components.evaluator.scores.table import CLICK_TIME
from labs.experiment.trainings.examples import ADVERTISER, codes
from schemas import labelled
from schemas.base import Frozen
from schemas.errors import InputError
from schemas.labelled import TRAIN

CutBy = Literal["setup", "day"]

_SPAN = 2**32

_THINNING = 0x7B19
"""Keeps the draw of hard examples apart from others of the same seed."""


class Subsample(Frozen):
    """A smaller data set that is still an honest one.

    `setup` keeps whole setups, chosen by a hash of their id, in all splits. `day` keeps the last
    days of the train split, and the other splits whole.
    """

    share: float = 1.0
    by: CutBy = "setup"


def sampled(facts: pa.Table, split: str, sample: Subsample) -> Bools | None:
    """The rows of a split that a sample keeps, bool [n]; None for all.

    Raises:
      InputError: it keeps none.
    """
    if sample.share >= 1.0 or (sample.by == "day" and split != TRAIN):
        return None
    if sample.by == "setup":
        kept = _hashed(facts[labelled.SETUP_ID], "sample") < sample.share
    else:
        day = facts[CLICK_TIME].to_numpy() // SECONDS_PER_DAY
        first, end = int(day.min()), int(day.max()) + 1
        kept = day >= end - max(1, round(sample.share * (end - first)))
    if not kept.any():
        raise InputError(f"--sample {sample.share}: keeps no example of {split}; wanted more")
    return kept


def thinned(hard: Bools, split: str, share: float, seed: int) -> Bools:
    """The rows that are left when hard examples are scarcer, bool [n]: all others, and each hard
    one with the probability `share`, whatever came of it.

    Rates stay what they were, so that nothing has to be weighed: there is less to learn them from.
    A larger share keeps what a smaller one keeps, and more.

    Args:
      hard: of the split's rows [n].
      seed: of the draw, which also differs by split.

    Raises:
      InputError: no hard example is left.
    """
    stream = np.random.default_rng([seed, _THINNING, zlib.crc32(split.encode())])
    kept = ~hard | (stream.random(len(hard)) < share)
    if not (kept & hard).any():
        raise InputError(
            f"{split}: no hard example in {share:g} of {hard.sum():,}; wanted a longer log"
        )
    return kept


def advertiser_fold(facts: pa.Table, folds: int) -> Ints:
    """The fold of each example's advertiser, in [0, folds), int64 [n]."""
    return (_hashed(facts[ADVERTISER], "fold") * folds).astype(np.int64)


def _hashed(names: pa.ChunkedArray, salt: str) -> Floats:
    """A number in [0, 1) for each row that its name decides."""
    place, values = codes(names)
    hashed = [zlib.crc32(f"{salt}:{name}".encode()) / _SPAN for name in values]
    numbers: Floats = np.array(hashed)[place]
    return numbers
