"""The multi-task Deep & Cross network (paper, section 3.1.1 and figure 1)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import tensorflow as tf

from components.trainer.embedding import EmbeddingTables, Lookup
from components.trainer.settings import Mode, ModelSettings
from components.trainer.stack import Forward, Stack, Tower
from components.transform.layout import FeatureLayout
from schemas.labelled import HARD, SOFT

ALL = "all"
"""Name of the one-task network's tower."""

TOWERS: Mapping[Mode, tuple[str, ...]] = {
    "two_tower": (HARD, SOFT),
    "one_task": (ALL,),
    "hard_only": (HARD,),
}


class TowerPath(tf.Module):
    """Everything that one tower's prediction needs, and nothing else: the serving network.

    Saving this module saves no variable of another tower (paper, section 3.2.1).
    """

    def __init__(self, embedding: EmbeddingTables, shared: Stack, tower: Tower) -> None:
        super().__init__()
        self.embedding = embedding
        self.shared = shared
        self.tower = tower

    def __call__(self, ids: tf.Tensor, nums: tf.Tensor) -> tf.Tensor:
        """Logits, float32 [batch].

        Args:
          ids: int32 or int64 [batch, categorical features], local ids.
          nums: float32 [batch, numeric width].
        """
        x0 = tf.concat([self.embedding(ids), nums], axis=1)
        return self.tower(x0, self.shared(x0, x0))


class TwoTowerDCN(tf.Module):
    """Embeddings, shared layers and one tower a task; or its two baselines of one tower.

    Variables are named `shared/...` or after their tower: `hard/...`, `soft/...`, `all/...`.

    Attributes:
      layout: what the inputs hold.
      settings: the architecture.
      embedding: the tables.
      shared: the shared layers.
      towers: by name; `hard` and `soft`, or `hard`, or `all`, after the mode.
    """

    def __init__(self, layout: FeatureLayout, settings: ModelSettings, seed: int) -> None:
        super().__init__()
        self.layout = layout
        self.settings = settings
        width = layout.input_width
        self.embedding = EmbeddingTables(layout, seed)
        self.shared = Stack(0, settings.shared_layers, width, settings, scope="shared", seed=seed)
        self.towers: dict[str, Tower] = {
            name: Tower(width, settings, scope=name, seed=seed) for name in TOWERS[settings.mode]
        }

    @property
    def serving_tower(self) -> str:
        """The tower that predicts hard conversions."""
        return ALL if self.settings.mode == "one_task" else HARD

    def tower_of(self, task: str) -> str | None:
        """The tower that learns from a task's examples (`hard` or `soft`), or none."""
        if self.settings.mode == "one_task":
            return ALL
        return task if task in self.towers else None

    def path(self, tower: str) -> TowerPath:
        """The network of one tower alone, on the same variables."""
        return TowerPath(self.embedding, self.shared, self.towers[tower])

    def logits(self, ids: tf.Tensor, nums: tf.Tensor) -> dict[str, tf.Tensor]:
        """Every tower's logits, float32 [batch], by name. Inputs as in `TowerPath`."""
        x0 = tf.concat([self.embedding(ids), nums], axis=1)
        x = self.shared(x0, x0)
        return {name: tower(x0, x) for name, tower in self.towers.items()}

    def tower_logit(self, tower: str, ids: tf.Tensor, nums: tf.Tensor) -> tf.Tensor:
        """One tower's logits, float32 [batch], computing nothing of the others."""
        return self.path(tower)(ids, nums)

    def own_logit(
        self,
        ids: tf.Tensor,
        lookups: list[Lookup],
        nums: tf.Tensor,
        hard_count: tf.Tensor,
        forward: Forward,
        *,
        routed: bool,
    ) -> tf.Tensor:
        """Each example's logit from the tower of its own task, float32 [batch].

        Args:
          ids, nums: as in `TowerPath`, the batch's hard examples first.
          lookups: `embedding.lookup(ids)`.
          hard_count: int32 scalar, how many examples are hard.
          forward: type of the arithmetic, and dropout.
          routed: pass each example through its own tower only. The result is the same but for
            rounding and for the masks of dropout.
        """
        embedded = self.embedding.assemble(ids, lookups)
        x0 = tf.cast(tf.concat([embedded, nums], axis=1), forward.dtype)
        x = self.shared(x0, x0, forward)
        if len(self.towers) == 1:
            (tower,) = self.towers.values()
            return tower(x0, x, forward)
        hard, soft = self.towers[HARD], self.towers[SOFT]
        batch = tf.shape(x)[0]
        if not routed:
            is_hard = tf.range(batch) < hard_count
            return tf.where(is_hard, hard(x0, x, forward), soft(x0, x, forward))
        sizes = tf.stack([hard_count, batch - hard_count])
        x0_hard, x0_soft = tf.split(x0, sizes)
        x_hard, x_soft = tf.split(x, sizes)
        return tf.concat([hard(x0_hard, x_hard, forward), soft(x0_soft, x_soft, forward)], axis=0)

    def set_base_rates(self, rates: Mapping[str, float]) -> None:
        """Sets each tower's logit bias to the log-odds of a rate, so that training starts there.

        Without it the first steps are spent on learning that conversions are rare.

        Args:
          rates: conversion rate in (0, 1) by tower.

        Raises:
          ValueError: a tower is missing, or a rate is not inside (0, 1).
        """
        for name, tower in self.towers.items():
            rate = rates.get(name, math.nan)
            if not 0 < rate < 1:
                raise ValueError(f"rates[{name!r}] is {rate}; wanted a rate inside (0, 1)")
            tower.logit.bias.assign([math.log(rate / (1 - rate))])

    @property
    def shared_variables(self) -> tuple[tf.Variable, ...]:
        """Tables and shared layers."""
        return (*self.embedding.variables, *self.shared.variables)

    @property
    def hard_variables(self) -> tuple[tf.Variable, ...]:
        """The hard tower's own, empty where there is none."""
        return self.tower_variables(HARD)

    @property
    def soft_variables(self) -> tuple[tf.Variable, ...]:
        """The soft tower's own, empty where there is none."""
        return self.tower_variables(SOFT)

    def tower_variables(self, tower: str) -> tuple[tf.Variable, ...]:
        return tuple(self.towers[tower].variables) if tower in self.towers else ()

    @property
    def dense_variables(self) -> tuple[tf.Variable, ...]:
        """All but the embedding tables."""
        own = [v for tower in self.towers.values() for v in tower.variables]
        return (*self.shared.variables, *own)
