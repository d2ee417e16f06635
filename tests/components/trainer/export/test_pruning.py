from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from components.trainer.export.export import (
    ServingGraph,
    export_full,
    export_serving,
    packed_inputs,
)
from components.trainer.export.pruning import PruningError, prove_pruning
from components.trainer.network.network import TowerPath, TwoTowerDCN
from components.trainer.network.shared_bottom import SharedBottom
from components.trainer.network.stack import INFERENCE, Forward, Stack
from components.trainer.settings import ModelSettings
from components.transform.graph import TransformGraph, feature_spec
from components.transform.layout import FeatureLayout
from schemas.contract import Contract

Rows = list[dict[str, Any]]


class Setting:
    """A network with its full graph, and ways to write serving graphs of it."""

    def __init__(
        self, contract: Contract, transform_dir: str, folder: Path, examples: list[bytes]
    ) -> None:
        self.contract = contract
        self.transform = TransformGraph(transform_dir)
        self.folder = folder
        self.examples = examples
        model = ModelSettings(cross_layers=1, hidden_units=(4,), shared_layers=1)
        self.network = TwoTowerDCN(FeatureLayout.from_contract(contract), model, seed=3)
        rng = np.random.default_rng(4)
        for variable in self.network.variables:
            variable.assign(rng.normal(0, 0.2, variable.shape))
        self.full = str(folder / "full")
        export_full(self.network, self.transform, contract, self.full)

    def serving_graph(self, kind: type[ServingGraph] = ServingGraph) -> ServingGraph:
        return kind(self.transform, self.network.path("hard"), self.contract)

    def save(self, graph: ServingGraph, name: str) -> str:
        directory = str(self.folder / name)
        signature = graph.from_examples.get_concrete_function()
        tf.saved_model.save(graph, directory, {"serving_default": signature})
        return directory

    def save_packed(self, graph: ServingGraph, name: str) -> str:
        """With the signatures that only the service calls."""
        file = self.folder / "packed_inputs.json"
        file.write_text(packed_inputs(self.contract).model_dump_json())
        graph.packed_inputs = tf.saved_model.Asset(str(file))
        signatures = {
            "serving_default": graph.from_examples.get_concrete_function(),
            "raw": graph.from_raw.get_concrete_function(),
            "packed": graph.from_packed.get_concrete_function(),
        }
        tf.saved_model.save(graph, str(self.folder / name), signatures)
        return str(self.folder / name)


@pytest.fixture(scope="module")
def setting(
    log_contract: Contract,
    log_rows: Rows,
    transform_graph_dir: str,
    to_examples: Callable[[Rows], list[bytes]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Setting:
    folder = tmp_path_factory.mktemp("pruning")
    return Setting(log_contract, transform_graph_dir, folder, to_examples(log_rows[:20]))


def test_the_exported_serving_graph_is_proven(setting: Setting) -> None:
    serving = setting.folder / "exported"
    export_serving(setting.network, setting.transform, setting.contract, str(serving))
    proof = prove_pruning(serving, setting.full, setting.examples)

    shared = ["bias", "kernel"]
    layers = ["dense_0/bias", "dense_0/kernel", "logit/bias", "logit/kernel"]
    tower = [*layers, "wide/bias", "wide/ids", "wide/numbers"]
    assert proof.soft_variables == tuple(f"soft/{name}" for name in tower)
    assert proof.serving.variables == (
        *(f"hard/{name}" for name in tower),
        *(f"shared/cross_0/{name}" for name in shared),
        "shared/embedding/w2",
        "shared/embedding/w3",
    )
    assert set(proof.full.variables) == {*proof.serving.variables, *proof.soft_variables}
    width = 3 + 2 + 3 + 12
    soft_parameters = width * 4 + 4 + 4 + 1
    # The weight, that for newcomers, and who is none.
    soft_parameters += 3 * sum(setting.network.layout.rows) + 2 * (12 + 1)
    assert proof.full.parameters - proof.serving.parameters == soft_parameters
    tables = 3 * (11 + 10007) + 2 * 3
    assert proof.serving.parameters == tables + width * width + width + soft_parameters
    on_disk = sum(f.stat().st_size for f in serving.rglob("*") if f.is_file())
    assert proof.serving.size == on_disk
    assert proof.examples == 20
    assert proof.largest_difference <= 1e-6
    assert not any("soft" in name.lower() for name in proof.serving.operations)
    assert any("soft" in name.lower() for name in proof.full.operations)


def test_a_tracked_soft_tower_is_found(setting: Setting) -> None:
    graph = setting.serving_graph()
    graph.leftover = setting.network.towers["soft"]
    with pytest.raises(PruningError, match=r"4 variables that it must not: soft/dense_0/bias, .*"):
        prove_pruning(setting.save(graph, "tracked"), setting.full, setting.examples)


def test_a_soft_tower_under_another_name_is_found(setting: Setting) -> None:
    graph = setting.serving_graph()
    kernel = setting.network.towers["soft"].logit.kernel
    graph.leftover = tf.Variable(kernel, name="shared/extra")
    with pytest.raises(PruningError, match="1 variables that it must not: shared/extra"):
        prove_pruning(setting.save(graph, "renamed"), setting.full, setting.examples)


def test_an_operation_named_after_a_soft_variable_is_found(setting: Setting) -> None:
    class Named(ServingGraph):
        def _from_raw(self, raw: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            answer = super()._from_raw(raw)["probability"]
            return {"probability": tf.identity(answer, name="soft/logit/kernel_again")}

    serving = setting.save(setting.serving_graph(Named), "named")
    with pytest.raises(PruningError, match="operations of the soft tower, such as 'soft/logit"):
        prove_pruning(serving, setting.full, setting.examples)


def test_other_predictions_are_found(setting: Setting) -> None:
    class Off(ServingGraph):
        def _from_raw(self, raw: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            return {"probability": super()._from_raw(raw)["probability"] + 1e-5}

    serving = setting.save(setting.serving_graph(Off), "off")
    with pytest.raises(PruningError, match=r"by up to (1|9\.\d+)e-0[56] on 20 examples; wanted"):
        prove_pruning(serving, setting.full, setting.examples)
    assert prove_pruning(
        serving, setting.full, setting.examples, tolerance=1e-4
    ).largest_difference == pytest.approx(1e-5, rel=0.02)


@pytest.mark.parametrize(
    ("signature", "method"), [("raw", "_from_raw"), ("packed", "_from_packed")]
)
def test_other_predictions_of_what_the_service_calls_are_found(
    signature: str, method: str, setting: Setting
) -> None:
    def off(self: ServingGraph, *inputs: Any) -> dict[str, tf.Tensor]:
        return {"probability": getattr(ServingGraph, method)(self, *inputs)["probability"] + 1e-5}

    def from_examples(self: ServingGraph, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        raw = tf.io.parse_example(examples, feature_spec(setting.contract))
        return ServingGraph._from_raw(self, raw)

    kind = type("Off", (ServingGraph,), {method: off, "_from_examples": from_examples})
    serving = setting.save_packed(setting.serving_graph(kind), f"off {signature}")
    with pytest.raises(PruningError, match=rf"predictions of '{signature}' differ .* on 20"):
        prove_pruning(serving, setting.full, setting.examples)


def test_other_weights_are_found(setting: Setting) -> None:
    bias = setting.network.towers["hard"].logit.bias
    kept = bias.numpy()
    bias.assign(kept + np.float32(1e-7))
    try:
        serving = setting.save(setting.serving_graph(), "weights")
    finally:
        bias.assign(kept)
    message = r"1 of 11 variables have other values .*hard/logit/bias"
    with pytest.raises(PruningError, match=message):
        prove_pruning(serving, setting.full, setting.examples)


def test_a_missing_layer_is_found(setting: Setting) -> None:
    graph = setting.serving_graph()
    graph.path = TowerPath(
        "hard",
        setting.network.embedding,
        SharedBottom(NoLayers(), ("hard",)),
        setting.network.towers["hard"],
        setting.network.wide["hard"],
    )
    with pytest.raises(PruningError, match=r"lacks 2 variables of the full graph: shared/cross_0/"):
        prove_pruning(setting.save(graph, "missing"), setting.full, setting.examples)


class NoLayers(Stack):
    def __init__(self) -> None:
        tf.Module.__init__(self)

    def __call__(self, x0: tf.Tensor, x: tf.Tensor, forward: Forward = INFERENCE) -> tf.Tensor:
        return x


def test_a_proof_needs_an_example(setting: Setting) -> None:
    with pytest.raises(ValueError, match="examples is empty"):
        prove_pruning(setting.full, setting.full, [])
