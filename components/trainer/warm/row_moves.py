"""Which row of an old embedding table belongs where in a new one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from components.trainer.network.embedding import own_rows
from components.transform.layout import FeatureLayout
from schemas.contract import Categorical

Rows = npt.NDArray[np.int64]


class Move(NamedTuple):
    """Rows `old` of a fused table that become rows `new` of the same table of the new network."""

    table: str
    old: Rows
    new: Rows


def moves(
    features: Sequence[Categorical],
    old_layout: FeatureLayout,
    new_layout: FeatureLayout,
    old_words: Mapping[str, Sequence[bytes]],
    new_words: Mapping[str, Sequence[bytes]],
) -> dict[str, Move]:
    """By feature, which rows to take over.

    A hashed value keeps its bucket. A value of a vocabulary moves from its old row to its new one,
    and the row of all other values stays that. Rows of values that the old vocabulary lacks are
    not moved to, and rows of values that the new one lacks are left behind.

    Args:
      features: the new contract's categorical features; the old ones fit them (`contract_fit`).
      old_layout, new_layout: rows of the tables.
      old_words, new_words: a vocabulary feature's values in the order of their ids, by feature.
    """
    before, after = own_rows(old_layout), own_rows(new_layout)
    found = {}
    for feature in features:
        old, new = before[feature.name], after[feature.name]
        if feature.vocabulary is None:
            taken = placed = np.arange(new.size)
        else:
            place = {word: i for i, word in enumerate(old_words.get(feature.name, ()))}
            words = list(enumerate(new_words.get(feature.name, ())))
            pairs = [(place[word], i) for i, word in words if word in place]
            pairs.append((old.size - 1, new.size - 1))
            taken, placed = np.array(pairs, np.int64).T
        found[feature.name] = Move(new.table, old.first + taken, new.first + placed)
    return found
