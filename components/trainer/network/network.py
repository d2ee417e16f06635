"""The multi-task Deep & Cross network (paper, section 3.1.1 and figure 1)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import tensorflow as tf

from components.trainer.network.embedding import EmbeddingTables, Lookup
from components.trainer.network.mmoe import MultiGateMixture
from components.trainer.network.ple import ProgressiveExtraction
from components.trainer.network.shared_bottom import SharedBottom
from components.trainer.network.stack import Forward, Tower
from components.trainer.network.trunk import Trunk
from components.trainer.network.wide import WideTower
from components.trainer.settings import ALL, Architecture, ModelSettings
from components.transform.layout import FeatureLayout
from schemas.labelled import HARD

TRUNKS: Mapping[Architecture, Callable[[int, ModelSettings, int], Trunk]] = {
    "shared_bottom": SharedBottom.build,
    "mmoe": MultiGateMixture.build,
    "ple": ProgressiveExtraction.build,
}


class TowerPath(tf.Module):
    """Everything that one tower's prediction needs, and nothing else: the serving network.

    Saving this module saves no variable of another tower (paper, section 3.2.1).
    """

    def __init__(
        self,
        name: str,
        embedding: EmbeddingTables,
        trunk: Trunk,
        tower: Tower,
        wide: WideTower | None,
    ) -> None:
        super().__init__()
        self.tower_name = name
        self.embedding = embedding
        self.trunk = trunk
        self.tower = tower
        self.wide = wide

    def __call__(self, ids: tf.Tensor, nums: tf.Tensor) -> tf.Tensor:
        """Logits, float32 [batch].

        Args:
          ids: int32 or int64 [batch, categorical features], local ids.
          nums: float32 [batch, numeric width].
        """
        x0 = tf.concat([self.embedding(ids), nums], axis=1)
        logit = self.tower(x0, self.trunk.inputs(x0)[self.tower_name])
        return logit if self.wide is None else logit + self.wide(ids, nums)


class TwoTowerDCN(tf.Module):
    """Embeddings, a trunk and one tower a task; or its two baselines of one tower.

    Variables are named `shared/...`, or after the one tower that depends on them: `hard/...`,
    `soft/...` (or `soft_1/...` and so on), `all/...`.

    Attributes:
      layout: what the inputs hold.
      settings: the architecture.
      embedding: the tables.
      trunk: what comes before the towers.
      towers: by name, as `settings.towers`.
      wide: the towers' linear parts, by name; empty where `settings.wide` is off. With them the
        towers' last layers start at zero: the layers add to what the linear parts say.
    """

    def __init__(self, layout: FeatureLayout, settings: ModelSettings, seed: int) -> None:
        super().__init__()
        self.layout = layout
        self.settings = settings
        width = layout.input_width
        self.embedding = EmbeddingTables(layout, seed)
        self.trunk = TRUNKS[settings.architecture](width, settings, seed)
        self.towers: dict[str, Tower] = {
            name: Tower(width, settings, scope=name, seed=seed) for name in settings.towers
        }
        newcomers = settings.wide.tells_newcomers(layout)
        self.wide: dict[str, WideTower] = {
            name: WideTower(layout, scope=name, newcomers=newcomers)
            for name in settings.towers
            if settings.wide.enabled
        }

    @property
    def serving_tower(self) -> str:
        """The tower that predicts hard conversions."""
        return self.settings.towers[0]

    def tower_of(self, task: str) -> str | None:
        """The tower that learns from the examples of one of `settings.tasks`, or none."""
        if self.settings.mode == "one_task":
            return ALL
        return task if task in self.towers else None

    def path(self, tower: str) -> TowerPath:
        """The network of one tower alone, on the same variables."""
        trunk = self.trunk.path(tower)
        return TowerPath(tower, self.embedding, trunk, self.towers[tower], self.wide.get(tower))

    def logits(self, ids: tf.Tensor, nums: tf.Tensor) -> dict[str, tf.Tensor]:
        """Every tower's logits, float32 [batch], by name. Inputs as in `TowerPath`."""
        x0 = tf.concat([self.embedding(ids), nums], axis=1)
        inputs = self.trunk.inputs(x0)
        logits = {name: tower(x0, inputs[name]) for name, tower in self.towers.items()}
        return {
            name: logit + self.wide[name](ids, nums) if name in self.wide else logit
            for name, logit in logits.items()
        }

    def tower_logit(self, tower: str, ids: tf.Tensor, nums: tf.Tensor) -> tf.Tensor:
        """One tower's logits, float32 [batch], computing nothing of the others."""
        return self.path(tower)(ids, nums)

    def own_logit(
        self,
        ids: tf.Tensor,
        lookups: list[Lookup],
        nums: tf.Tensor,
        counts: tf.Tensor,
        forward: Forward,
        *,
        routed: bool,
    ) -> tf.Tensor:
        """What the layers of each example's own tower say, float32 [batch].

        That is the tower's logit less its linear part, which training takes from `Batch.offset`.

        Args:
          ids, nums: as in `TowerPath`, the batch's examples in the order of `settings.tasks`.
          lookups: `embedding.lookup(ids)`.
          counts: int32 [tasks], how many examples each task has.
          forward: type of the arithmetic, and dropout.
          routed: pass each example through its own tower only. The result is the same but for
            rounding and for the masks of dropout.
        """
        embedded = self.embedding.assemble(ids, lookups)
        x0 = tf.cast(tf.concat([embedded, nums], axis=1), forward.dtype)
        towers = list(self.towers.items())
        if routed and len(towers) > 1:
            inputs = self.trunk.routed(x0, counts, forward)
            x0_of = tf.split(x0, counts, num=len(towers))
            logits = [
                tower(own_x0, inputs[name], forward)
                for (name, tower), own_x0 in zip(towers, x0_of, strict=True)
            ]
            return tf.concat(logits, axis=0)
        inputs = self.trunk.inputs(x0, forward)
        rows, ends = tf.range(tf.shape(x0)[0]), tf.cumsum(counts)
        *others, (name, last) = towers
        own = last(x0, inputs[name], forward)
        for i, (name, tower) in reversed(list(enumerate(others))):
            own = tf.where(rows < ends[i], tower(x0, inputs[name], forward), own)
        return own

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
        """Tables, and of the trunk what more than one tower would depend on."""
        return (*self.embedding.variables, *self._of_trunk("shared"))

    @property
    def hard_variables(self) -> tuple[tf.Variable, ...]:
        """The hard tower's own, empty where there is none."""
        return self.tower_variables(HARD)

    @property
    def soft_variables(self) -> tuple[tf.Variable, ...]:
        """The soft towers' own, empty where there is none."""
        soft = [task for task in self.settings.tasks if task != HARD]
        return tuple(v for tower in soft for v in self.tower_variables(tower))

    def tower_variables(self, tower: str) -> tuple[tf.Variable, ...]:
        """What that tower alone depends on, in the trunk and after it; empty if there is none."""
        if tower not in self.towers:
            return ()
        wide = self.wide[tower].variables if tower in self.wide else ()
        return (*self._of_trunk(tower), *self.towers[tower].variables, *wide)

    @property
    def dense_variables(self) -> tuple[tf.Variable, ...]:
        """Those of the layers: neither embedding tables nor linear parts."""
        own = [
            v
            for name, tower in self.towers.items()
            for v in (*self._of_trunk(name), *tower.variables)
        ]
        return (*self._of_trunk("shared"), *own)

    def _of_trunk(self, scope: str) -> list[tf.Variable]:
        return [v for v in self.trunk.variables if v.name.startswith(f"{scope}/")]
