"""SavedModels: a network's serving graph and full graph, and the reference beside them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

import tensorflow as tf

from common.versions.signatures import (
    EXAMPLES,
    NUMBERS,
    PACKED,
    PACKED_INPUTS,
    PROBABILITY,
    RAW,
    SERVING_DEFAULT,
    TEXT,
    PackedInputs,
    input_names,
)
from components.trainer.calibrate.calibrator import Calibrator, probability
from components.trainer.network.network import TowerPath, TwoTowerDCN
from components.trainer.network.wide import WideTower
from components.transform.graph import TransformGraph, feature_spec
from components.transform.layout import FeatureLayout
from schemas.contract import Contract

FULL_DIRECTORY = "Format-Full"
"""Where a Model artifact holds the graph of all towers, beside TFX's `Format-Serving`."""

REFERENCE_DIRECTORY = "reference"
"""Where it holds the logistic regression that the network has to beat."""

NO_CALIBRATORS: Mapping[str, Calibrator] = MappingProxyType({})


def raw_signature(contract: Contract) -> dict[str, tf.TensorSpec]:
    """Inputs of the `raw` signature by column: a [batch] tensor of each feature."""
    names = input_names(contract.features.names)
    return {
        column: tf.TensorSpec([None], feature.dtype, name=names[column])
        for column, feature in feature_spec(contract).items()
    }


def packed_inputs(contract: Contract) -> PackedInputs:
    """Columns of the `packed` signature: the contract's features in its order."""
    names, features = input_names(contract.features.names), contract.features
    return PackedInputs(
        text={f.name: names[f.name] for f in features.categorical},
        numbers={f.name: names[f.name] for f in features.numeric},
    )


class ExportedGraph(tf.Module):
    """Parsing and transform, and what a kind of graph answers behind them."""

    def __init__(self, name: str, transform: TransformGraph, contract: Contract) -> None:
        super().__init__(name=name)
        self.transform = transform
        self._spec = feature_spec(contract)
        self.from_examples = tf.function(
            self._from_examples, input_signature=[tf.TensorSpec([None], tf.string, name=EXAMPLES)]
        )

    def _from_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._from_raw(tf.io.parse_example(examples, self._spec))

    def _from_raw(self, raw: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return self._answer(*self.transform(raw))

    def _answer(self, ids: tf.Tensor, nums: tf.Tensor) -> dict[str, tf.Tensor]:
        raise NotImplementedError


class ServingGraph(ExportedGraph):
    """Transform, a model, its calibration. Of the network the model is one tower's path, so that
    there is no variable of another tower (section 3.2.1)."""

    def __init__(
        self,
        transform: TransformGraph,
        path: TowerPath | WideTower,
        contract: Contract,
        calibrator: Calibrator | None = None,
    ) -> None:
        super().__init__("serving", transform, contract)
        self.path = path
        self._calibrator = calibrator
        self._layout = layout = FeatureLayout.from_contract(contract)
        self.from_raw = tf.function(self._from_raw, input_signature=[raw_signature(contract)])
        self.from_packed = tf.function(
            self._from_packed,
            input_signature=[
                tf.TensorSpec([None, len(layout.categorical)], tf.string, name=TEXT),
                tf.TensorSpec([None, len(layout.numeric)], tf.float32, name=NUMBERS),
            ],
        )

    def _from_packed(self, text: tf.Tensor, numbers: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._answer(*self.transform.of_columns(text, numbers, self._layout))

    def _answer(self, ids: tf.Tensor, nums: tf.Tensor) -> dict[str, tf.Tensor]:
        return {PROBABILITY: probability(self.path(ids, nums), self._calibrator)}


class FullGraph(ExportedGraph):
    """Transform and every tower, for study and as the reference of the pruning proof."""

    def __init__(
        self,
        transform: TransformGraph,
        network: TwoTowerDCN,
        contract: Contract,
        calibrators: Mapping[str, Calibrator],
    ) -> None:
        super().__init__("full", transform, contract)
        self.network = network
        self._calibrators = dict(calibrators)

    def _answer(self, ids: tf.Tensor, nums: tf.Tensor) -> dict[str, tf.Tensor]:
        logits = self.network.logits(ids, nums)
        serving = self.network.serving_tower
        towers = {t: self.network.tower_of(t) or serving for t in self.network.settings.tasks}
        return {
            task: probability(logits[tower], self._calibrators.get(tower))
            for task, tower in towers.items()
        }


def export_serving(
    network: TwoTowerDCN,
    transform: TransformGraph,
    contract: Contract,
    directory: str,
    calibrators: Mapping[str, Calibrator] = NO_CALIBRATORS,
) -> None:
    """Writes the serving graph.

    Signatures `serving_default` (`examples`, string [n], serialized tf.Examples of which only the
    contract's features are read), `raw` (see `raw_signature`) and `packed` (see `packed_inputs`)
    all answer `probability`, float32 [n], of a hard conversion, calibrated by the serving tower's
    calibrator if any.
    """
    serving = network.serving_tower
    graph = ServingGraph(transform, network.path(serving), contract, calibrators.get(serving))
    _save(graph, packed_inputs(contract), directory)


def export_reference(
    logistic: WideTower,
    transform: TransformGraph,
    contract: Contract,
    directory: str,
    calibrator: Calibrator | None = None,
) -> None:
    """Writes the logistic regression of the hard task, with the signatures of `export_serving`."""
    graph = ServingGraph(transform, logistic, contract, calibrator)
    _save(graph, packed_inputs(contract), directory)


def _save(graph: ServingGraph, columns: PackedInputs, directory: str) -> None:
    signatures = {
        SERVING_DEFAULT: graph.from_examples.get_concrete_function(),
        RAW: graph.from_raw.get_concrete_function(),
        PACKED: graph.from_packed.get_concrete_function(),
    }
    with TemporaryDirectory() as folder:
        file = Path(folder, PACKED_INPUTS)
        file.write_text(columns.model_dump_json(indent=1) + "\n")
        graph.packed_inputs = tf.saved_model.Asset(str(file))
        tf.saved_model.save(graph, directory, signatures)


def export_full(
    network: TwoTowerDCN,
    transform: TransformGraph,
    contract: Contract,
    directory: str,
    calibrators: Mapping[str, Calibrator] = NO_CALIBRATORS,
) -> None:
    """Writes the full graph: `serving_default` answers each of the model's tasks, float32 [n].

    A network of one tower answers all by it. Each tower's answers are calibrated by its calibrator
    if it has any.
    """
    graph = FullGraph(transform, network, contract, calibrators)
    signatures = {SERVING_DEFAULT: graph.from_examples.get_concrete_function()}
    tf.saved_model.save(graph, directory, signatures)
