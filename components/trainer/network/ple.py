"""Progressive layered extraction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from components.trainer.network.layers import MixtureGate
from components.trainer.network.stack import INFERENCE, Forward, Stack
from components.trainer.settings import ModelSettings

SHARED = "shared"


class ExtractionLevel(tf.Module):
    """Experts of each task and shared ones, and the gates that mix their outputs.

    A task's gate mixes its own experts and the shared ones, the shared gate those of all tasks,
    each by the same input that its experts have.

    Attributes:
      experts: by task, and `shared`.
      gates: by task, and `shared` where another level follows.
    """

    def __init__(
        self, experts: Mapping[str, Sequence[Stack]], gates: Mapping[str, MixtureGate]
    ) -> None:
        super().__init__()
        self.experts = {name: list(of_name) for name, of_name in experts.items()}
        self.gates = dict(gates)

    def __call__(
        self, x0: tf.Tensor, inputs: Mapping[str, tf.Tensor], forward: Forward
    ) -> dict[str, tf.Tensor]:
        """Maps inputs by task, and `shared`, to the gates' outputs; each [batch, width]."""
        outputs = {
            name: [expert(x0, inputs[name], forward) for expert in experts]
            for name, experts in self.experts.items()
        }
        every = [output for of_name in outputs.values() for output in of_name]
        return {
            name: gate(
                inputs[name], every if name == SHARED else [*outputs[name], *outputs[SHARED]]
            )
            for name, gate in self.gates.items()
        }

    def routed(
        self,
        x0: tf.Tensor,
        inputs: Mapping[str, tf.Tensor],
        counts: tf.Tensor,
        forward: Forward,
    ) -> dict[str, tf.Tensor]:
        """As calling it, each task's experts and gate seeing the task's own rows alone."""
        tasks = len(self.gates)
        shared = [
            tf.split(expert(x0, inputs[SHARED], forward), counts, num=tasks)
            for expert in self.experts[SHARED]
        ]
        x0_by_task = tf.split(x0, counts, num=tasks)
        mixed = {}
        for i, (name, gate) in enumerate(self.gates.items()):
            x = tf.split(inputs[name], counts, num=tasks)[i]
            own = [expert(x0_by_task[i], x, forward) for expert in self.experts[name]]
            mixed[name] = gate(x, [*own, *(parts[i] for parts in shared)])
        return mixed

    def only(self, experts: Sequence[str], gates: Sequence[str]) -> ExtractionLevel:
        """The same level with these experts and gates alone, in the level's own order."""
        return ExtractionLevel(
            {name: of_name for name, of_name in self.experts.items() if name in experts},
            {name: gate for name, gate in self.gates.items() if name in gates},
        )


class ProgressiveExtraction(tf.Module):
    """Levels in a row: each one's gates make the inputs of the next one's experts.

        x^0_t = x^0_shared = x_0
        x^j_t      = sum_k g^j_t(x^{j-1}_t)_k           f_k      f: experts of t, and shared
        x^j_shared = sum_k g^j_shared(x^{j-1}_shared)_k f_k      f: experts of all, j not the last

    with each expert of name n fed x^{j-1}_n. Source: Tang et al., "Progressive Layered Extraction
    (PLE): A Novel Multi-Task Learning (MTL) Model for Personalized Recommendations", RecSys 2020;
    one level is their CGC.

    A tower needs the other tasks' experts of every level before the last, since the shared gates
    mix them, but not those of the last; nor the other tasks' gates of the last two levels.
    Variables that all towers need are named `shared/level_<j>/...`, those that one needs
    `<tower>/level_<j>/...`.

    Attributes:
      levels: first to last.
    """

    def __init__(self, levels: Sequence[ExtractionLevel]) -> None:
        super().__init__()
        self.levels = list(levels)

    @classmethod
    def build(cls, width: int, model: ModelSettings, seed: int) -> ProgressiveExtraction:
        """A trunk with fresh variables, for inputs of that width."""
        widths, towers, levels = model.widths(width), model.towers, []
        for j, layers in enumerate(model.levels):
            following = len(model.levels) - 1 - j

            def scope(name: str, part: str, *, own: bool, j: int = j) -> str:
                if own and name != SHARED:
                    return f"{name}/level_{j}/{part}"
                return f"{SHARED}/level_{j}/{name}_{part}"

            experts = {
                name: [
                    Stack(
                        layers.start,
                        layers.stop,
                        width,
                        model,
                        scope=scope(name, f"expert_{k}", own=following == 0),
                        seed=seed,
                    )
                    for k in range(model.experts if name == SHARED else model.own_experts)
                ]
                for name in (*towers, SHARED)
            }
            gates = {
                name: MixtureGate(
                    widths[layers.start],
                    model.experts + model.own_experts * (len(towers) if name == SHARED else 1),
                    scope=scope(name, "gate", own=following <= 1),
                    seed=seed,
                )
                for name in (towers if following == 0 else (*towers, SHARED))
            }
            levels.append(ExtractionLevel(experts, gates))
        return cls(levels)

    def inputs(self, x0: tf.Tensor, forward: Forward = INFERENCE) -> dict[str, tf.Tensor]:
        """See `Trunk`."""
        return self.levels[-1](x0, self._before_last(x0, forward), forward)

    def routed(
        self, x0: tf.Tensor, counts: tf.Tensor, forward: Forward = INFERENCE
    ) -> dict[str, tf.Tensor]:
        """See `Trunk`. Rows are told apart in the last level."""
        return self.levels[-1].routed(x0, self._before_last(x0, forward), counts, forward)

    def _before_last(self, x0: tf.Tensor, forward: Forward) -> dict[str, tf.Tensor]:
        """Inputs of the last level."""
        inputs = dict.fromkeys(self.levels[0].experts, x0)
        for level in self.levels[:-1]:
            inputs = level(x0, inputs, forward)
        return inputs

    def path(self, tower: str) -> ProgressiveExtraction:
        """See `Trunk`."""
        *mixing, last = self.levels
        needed = [last.only((tower, SHARED), (tower,))]
        gates: Sequence[str] = (tower, SHARED)
        for level in reversed(mixing):
            needed.insert(0, level.only(tuple(level.experts), gates))
            gates = tuple(level.gates)
        return ProgressiveExtraction(needed)
