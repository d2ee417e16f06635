"""Embedding tables, fused: one variable for all features of the same width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from common.arrays import Ints, Ints32
from components.trainer.data.storage import pieces
from components.trainer.network.layers import uniform
from components.transform.layout import FeatureLayout

INITIAL_LIMIT = 0.05


class Lookup(NamedTuple):
    """The rows of one fused table that a batch uses, each once.

    Attributes:
      unique: int64 [distinct], row numbers in the fused table, no two equal.
      rows: float32 [distinct, width], their values.
      position: int32 [batch * features], the place in `rows` of every id of the batch.
    """

    unique: tf.Tensor
    rows: tf.Tensor
    position: tf.Tensor


class _Block(NamedTuple):
    """Which features a fused table holds: their columns of `ids`, and where their rows start."""

    width: int
    features: np.ndarray
    offsets: np.ndarray


class OwnRows(NamedTuple):
    """A feature's rows in its fused table.

    Attributes:
      table: name of the table's variable.
      first: number of the first row.
      size: how many rows.
    """

    table: str
    first: int
    size: int


def own_rows(layout: FeatureLayout) -> dict[str, OwnRows]:
    """Where each feature's rows are, by feature, in the layout's order."""
    ends: dict[int, int] = {}
    own = {}
    for name, count, width in zip(layout.categorical, layout.rows, layout.widths, strict=True):
        first = ends.get(width, 0)
        own[name] = OwnRows(_table_name(width), first, count)
        ends[width] = first + count
    return own


class EmbeddingTables(tf.Module):
    """All features' tables: one variable [sum of rows, width] for each distinct width, ascending.

    A feature owns a block of consecutive rows; its offset is added to its local ids. The output
    holds the features by width, then in the layout's order.

    Attributes:
      tables: the variables, named `shared/embedding/w<width>`.
    """

    def __init__(self, layout: FeatureLayout, seed: int) -> None:
        super().__init__()
        self.tables: list[tf.Variable] = []
        blocks = []
        for width in sorted(set(layout.widths)):
            features = np.flatnonzero(np.asarray(layout.widths) == width)
            rows = np.asarray(layout.rows, np.int64)[features]
            blocks.append(_Block(width, features, np.cumsum(rows) - rows))
            name = _table_name(width)
            values = uniform((int(rows.sum()), width), INITIAL_LIMIT, seed, name)
            self.tables.append(tf.Variable(values, name=name))
        self._blocks = tuple(blocks)

    def __call__(self, ids: tf.Tensor) -> tf.Tensor:
        """Embeds local ids, integers [batch, features]; float32 [batch, sum of widths]."""
        rows = [tf.gather(t, i) for t, i in zip(self.tables, self._row_ids(ids), strict=True)]
        return self._side_by_side(ids, rows)

    def lookup(self, ids: tf.Tensor) -> list[Lookup]:
        """The distinct rows that a batch uses, one `Lookup` a table.

        A gradient with respect to `Lookup.rows` touches no other row and meets each row once,
        which a lazy update needs.
        """
        lookups = []
        for table, row_ids in zip(self.tables, self._row_ids(ids), strict=True):
            unique, position = tf.unique(row_ids)
            lookups.append(Lookup(unique, tf.gather(table, unique), position))
        return lookups

    def assemble(self, ids: tf.Tensor, lookups: Sequence[Lookup]) -> tf.Tensor:
        """As calling the tables, from the rows already looked up; in the type of `rows`."""
        return self._side_by_side(ids, [tf.gather(it.rows, it.position) for it in lookups])

    def uses(self, ids: Ints32) -> list[Ints]:
        """How often examples use each row, int64 [rows] a table.

        Args:
          ids: local ids of the examples, int32 [n, features].
        """
        counted = []
        for table, block in zip(self.tables, self._blocks, strict=True):
            counts = np.zeros(table.shape[0], np.int64)
            for rows in pieces(len(ids)):
                for feature, first in zip(block.features, block.offsets, strict=True):
                    used = np.bincount(ids[rows, feature])
                    counts[first : first + len(used)] += used
            counted.append(counts)
        return counted

    def _row_ids(self, ids: tf.Tensor) -> list[tf.Tensor]:
        """Row numbers in each fused table, int64 [batch * features of the table]."""
        ids = tf.cast(ids, tf.int64)
        return [
            tf.reshape(tf.gather(ids, block.features, axis=1) + block.offsets, [-1])
            for block in self._blocks
        ]

    def _side_by_side(self, ids: tf.Tensor, rows: Sequence[tf.Tensor]) -> tf.Tensor:
        batch = tf.shape(ids)[0]
        parts = [
            tf.reshape(part, tf.stack([batch, block.width * len(block.features)]))
            for part, block in zip(rows, self._blocks, strict=True)
        ]
        return tf.concat(parts, axis=1) if parts else tf.zeros(tf.stack([batch, 0]))


def _table_name(width: int) -> str:
    return f"shared/embedding/w{width}"
