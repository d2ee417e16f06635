"""The training race: one model, one set of examples, whatever the contestant.

The widths: 20 embeddings 16 wide over 1.5 million rows in all, 8 numbers; a stack of four cross
layers and two feed-forward layers of 256 and 128 units, of which the first two cross layers are
shared by both towers. Ids follow a Zipf law, labels come from a planted logit, half of the
examples are hard. This module needs NumPy alone, so that any Python can take part.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FEATURES = 20
TABLE_ROWS = (400_000, 400_000, 200_000, 100_000, 100_000, *[20_000] * 10, *[1_000] * 5)
WIDTH = 16
NUMBERS = 8
INPUT_WIDTH = FEATURES * WIDTH + NUMBERS
SHARED_CROSS, TOWER_CROSS = 2, 2
HIDDEN = (256, 128)
BATCH = 4096
LEARNING_RATE = 1e-3
ZIPF = 1.1


class Clicks(NamedTuple):
    """Examples.

    Attributes:
      ids: int32 [n, FEATURES], local to each feature's table.
      nums: float32 [n, NUMBERS].
      label: float32 [n].
      hard: bool [n].
    """

    ids: npt.NDArray[np.int32]
    nums: npt.NDArray[np.float32]
    label: npt.NDArray[np.float32]
    hard: npt.NDArray[np.bool_]


def clicks(examples: int, seed: int = 1, rows: tuple[int, ...] = TABLE_ROWS) -> Clicks:
    """Examples of the race, the same for all contestants."""
    generator = np.random.default_rng(seed)
    ids = np.empty((examples, len(rows)), np.int32)
    for feature, size in enumerate(rows):
        # The inverse of a Zipf law's distribution, truncated to the table.
        uniform = generator.random(examples)
        power = 1 - ZIPF
        ranks = (1 + uniform * (size**power - 1)) ** (1 / power)
        ids[:, feature] = np.minimum(ranks.astype(np.int64) - 1, size - 1)
    nums = generator.standard_normal((examples, NUMBERS)).astype(np.float32)
    hard = generator.random(examples) < 0.5
    logit = np.where(hard, -4.0, -2.0) + 0.5 * nums[:, 0] - 0.1 * np.log1p(ids[:, 0])
    label = generator.random(examples) < 1 / (1 + np.exp(-logit))
    return Clicks(ids, nums, label.astype(np.float32), hard)
