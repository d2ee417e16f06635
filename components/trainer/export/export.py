"""Two SavedModels of one trained network: the serving graph and the full graph."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from common.versions.signatures import (
    EXAMPLES,
    PROBABILITY,
    RAW,
    SERVING_DEFAULT,
    input_names,
)
from components.trainer.calibrate.calibrator import Calibrator, probability
from components.trainer.network.network import TowerPath, TwoTowerDCN
from components.transform.graph import TransformGraph
from components.transform.raw import feature_spec
from schemas.contract import Contract

SERVING_DIRECTORY = "Format-Serving"
FULL_DIRECTORY = "Format-Full"
"""Where a Model artifact holds the two graphs; the first is TFX's own name."""

REFERENCE_DIRECTORY = "reference"
"""Where it holds the logistic regression that the network has to beat."""


def raw_signature(contract: Contract) -> dict[str, tf.TensorSpec]:
    """Inputs of the `raw` signature by column: a [batch] tensor of each feature."""
    names = input_names(contract.features.names)
    return {
        column: tf.TensorSpec([None], feature.dtype, name=names[column])
        for column, feature in feature_spec(contract).items()
    }


class ServingGraph(tf.Module):
    """Transform, one tower, its calibration; no variable of another tower (section 3.2.1)."""

    def __init__(
        self,
        transform: TransformGraph,
        path: TowerPath,
        contract: Contract,
        calibrator: Calibrator | None = None,
    ) -> None:
        super().__init__(name="serving")
        self.transform = transform
        self.path = path
        self._calibrator = calibrator
        self._spec = feature_spec(contract)
        self.from_examples = tf.function(
            self._from_examples, input_signature=[tf.TensorSpec([None], tf.string, name=EXAMPLES)]
        )
        self.from_raw = tf.function(self._from_raw, input_signature=[raw_signature(contract)])

    def _from_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._from_raw(tf.io.parse_example(examples, self._spec))

    def _from_raw(self, raw: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        logit = self.path(*self.transform(raw))
        return {PROBABILITY: probability(logit, self._calibrator)}


class FullGraph(tf.Module):
    """Transform and every tower, for study and as the reference of the pruning proof."""

    def __init__(
        self,
        transform: TransformGraph,
        network: TwoTowerDCN,
        contract: Contract,
        calibrator: Calibrator | None = None,
    ) -> None:
        super().__init__(name="full")
        self.transform = transform
        self.network = network
        self._calibrator = calibrator
        self._spec = feature_spec(contract)
        self.from_examples = tf.function(
            self._from_examples, input_signature=[tf.TensorSpec([None], tf.string, name=EXAMPLES)]
        )

    def _from_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        ids, nums = self.transform(tf.io.parse_example(examples, self._spec))
        logits = self.network.logits(ids, nums)
        serving = self.network.serving_tower
        towers = {t: self.network.tower_of(t) or serving for t in self.network.settings.tasks}
        return {
            task: probability(logits[tower], self._calibrator if tower == serving else None)
            for task, tower in towers.items()
        }


def export_serving(
    network: TwoTowerDCN,
    transform: TransformGraph,
    contract: Contract,
    directory: str,
    calibrator: Calibrator | None = None,
) -> None:
    """Writes the serving graph.

    Signatures `serving_default` (`examples`, string [n], serialized tf.Examples of which only the
    contract's features are read) and `raw` (see `raw_signature`) both answer `probability`,
    float32 [n], of a hard conversion, calibrated by `calibrator` if any.
    """
    graph = ServingGraph(transform, network.path(network.serving_tower), contract, calibrator)
    signatures = {
        SERVING_DEFAULT: graph.from_examples.get_concrete_function(),
        RAW: graph.from_raw.get_concrete_function(),
    }
    tf.saved_model.save(graph, directory, signatures)


def export_full(
    network: TwoTowerDCN,
    transform: TransformGraph,
    contract: Contract,
    directory: str,
    calibrator: Calibrator | None = None,
) -> None:
    """Writes the full graph: `serving_default` answers each of the model's tasks, float32 [n].

    A network of one tower answers all by it. What the serving tower answers is calibrated by
    `calibrator` if any, other towers' answers never are.
    """
    graph = FullGraph(transform, network, contract, calibrator)
    signatures = {SERVING_DEFAULT: graph.from_examples.get_concrete_function()}
    tf.saved_model.save(graph, directory, signatures)
