"""Multi-gate mixture of experts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from components.trainer.network.layers import MixtureGate
from components.trainer.network.stack import INFERENCE, Forward, Stack
from components.trainer.settings import ModelSettings


class MultiGateMixture(tf.Module):
    """x_t = sum_k g_t(x_0)_k f_k(x_0): experts f_k that all towers share, a gate g_t a tower.

    Source: Ma et al., "Modeling Task Relationships in Multi-task Learning with Multi-gate
    Mixture-of-Experts", KDD 2018. With one expert it is `SharedBottom`.

    Attributes:
      experts: the layers f_k, named `shared/expert_<k>/<layer>`.
      gates: by tower, named `<tower>/gate`.
    """

    def __init__(self, experts: Sequence[Stack], gates: Mapping[str, MixtureGate]) -> None:
        super().__init__()
        self.experts = list(experts)
        self.gates = dict(gates)

    @classmethod
    def build(cls, width: int, model: ModelSettings, seed: int) -> MultiGateMixture:
        """A trunk with fresh variables, for inputs of that width."""
        experts = [
            Stack(0, model.shared_layers, width, model, scope=f"shared/expert_{k}", seed=seed)
            for k in range(model.experts)
        ]
        gates = {
            tower: MixtureGate(width, model.experts, scope=f"{tower}/gate", seed=seed)
            for tower in model.towers
        }
        return cls(experts, gates)

    def inputs(self, x0: tf.Tensor, forward: Forward = INFERENCE) -> dict[str, tf.Tensor]:
        """See `Trunk`."""
        outputs = [expert(x0, x0, forward) for expert in self.experts]
        return {tower: gate(x0, outputs) for tower, gate in self.gates.items()}

    def routed(
        self, x0: tf.Tensor, counts: tf.Tensor, forward: Forward = INFERENCE
    ) -> dict[str, tf.Tensor]:
        """See `Trunk`. Every row passes through all experts, and through its own tower's gate."""
        towers = len(self.gates)
        selectors = tf.split(x0, counts, num=towers)
        outputs = [tf.split(f(x0, x0, forward), counts, num=towers) for f in self.experts]
        return {
            tower: gate(selectors[i], [parts[i] for parts in outputs])
            for i, (tower, gate) in enumerate(self.gates.items())
        }

    def path(self, tower: str) -> MultiGateMixture:
        """See `Trunk`."""
        return MultiGateMixture(self.experts, {tower: self.gates[tower]})
