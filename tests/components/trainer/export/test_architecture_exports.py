"""Exports of networks with experts: proven pruned, and answered by another process."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from components.trainer.export.export import export_full, export_serving
from components.trainer.export.pruning import PruningProof, prove_pruning
from components.trainer.network.network import TwoTowerDCN
from components.trainer.network.size import parameters
from components.trainer.settings import ModelSettings
from components.transform.graph import TransformGraph, feature_spec
from components.transform.layout import FeatureLayout
from schemas.contract import Contract

Rows = list[dict[str, Any]]

NETWORKS = {
    "mmoe": {"architecture": "mmoe", "experts": 2},
    "ple": {"architecture": "ple", "experts": 1, "own_experts": 1, "tier_boundaries": (0.2,)},
    "ple of 2 levels": {
        "architecture": "ple",
        "experts": 1,
        "own_experts": 1,
        "extraction_levels": 2,
    },
}

ANSWER = """
import json, sys
import tensorflow as tf
folder, examples, names = sys.argv[1], *map(json.loads, sys.argv[2:])
examples = tf.constant([bytes.fromhex(example) for example in examples])
answers = {}
for name in names:
    model = tf.saved_model.load(f"{folder}/{name}")
    found = model.signatures["serving_default"](examples=examples)
    answers[name] = {output: tensor.numpy().tolist() for output, tensor in found.items()}
print(json.dumps(answers))
"""


class Exported(NamedTuple):
    network: TwoTowerDCN
    proof: PruningProof
    wanted: dict[str, Any]
    answers: dict[str, dict[str, list[float]]]


@pytest.fixture(scope="module")
def exported(
    log_contract: Contract,
    log_rows: Rows,
    transform_graph_dir: str,
    to_examples: Callable[[Rows], list[bytes]],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Exported]:
    folder = tmp_path_factory.mktemp("architectures")
    transform, examples = TransformGraph(transform_graph_dir), to_examples(log_rows[8:30])
    packed = transform(tf.io.parse_example(examples, feature_spec(log_contract)))
    rng = np.random.default_rng(2)
    networks, proofs = {}, {}
    for name, changes in NETWORKS.items():
        model = ModelSettings.model_validate(
            {"cross_layers": 2, "cross_rank": 3, "hidden_units": (5,), "shared_layers": 2} | changes
        )
        network = TwoTowerDCN(FeatureLayout.from_contract(log_contract), model, seed=1)
        for variable in network.variables:
            variable.assign(rng.normal(0, 0.08, variable.shape))
        for write, graph in ((export_serving, "serving"), (export_full, "full")):
            write(network, transform, log_contract, str(folder / name / graph))
        networks[name] = network
        proofs[name] = prove_pruning(folder / name / "serving", folder / name / "full", examples)
    graphs = [f"{name}/{graph}" for name in NETWORKS for graph in ("serving", "full")]
    arguments = [json.dumps([e.hex() for e in examples]), json.dumps(graphs)]
    done = subprocess.run(
        [sys.executable, "-c", ANSWER, str(folder), *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path("/"),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answers = json.loads(done.stdout)
    return {
        name: Exported(
            network,
            proofs[name],
            {t: tf.sigmoid(x).numpy() for t, x in network.logits(*packed).items()},
            {graph: answers[f"{name}/{graph}"] for graph in ("serving", "full")},
        )
        for name, network in networks.items()
    }


every_network = pytest.mark.parametrize("name", NETWORKS)


@every_network
def test_another_process_answers_as_the_network(name: str, exported: dict[str, Exported]) -> None:
    _, _, wanted, answers = exported[name]
    assert np.ptp(wanted["hard"]) > 1e-3
    assert list(answers["serving"]) == ["probability"]
    np.testing.assert_allclose(answers["serving"]["probability"], wanted["hard"], rtol=1e-5)
    assert set(answers["full"]) == set(wanted)
    for task, probability in wanted.items():
        np.testing.assert_allclose(answers["full"][task], probability, rtol=1e-5)


@every_network
def test_the_serving_graph_is_proven_to_be_pruned(
    name: str, exported: dict[str, Exported], log_contract: Contract
) -> None:
    network, proof, _, _ = exported[name]
    soft = {v.name.removesuffix(":0") for v in network.soft_variables}
    assert set(proof.soft_variables) == soft
    assert {variable.split("/")[0] for variable in soft} == set(network.towers) - {"hard"}
    size = parameters(network.settings, FeatureLayout.from_contract(log_contract))
    assert (proof.serving.parameters, proof.full.parameters) == (size["serving"], size["full"])


def test_two_levels_serve_the_soft_experts_that_are_mixed_and_no_others(
    exported: dict[str, Exported],
) -> None:
    serving = exported["ple of 2 levels"].proof.serving.variables
    of_soft_experts = {name.rsplit("/", 1)[0] for name in serving if "soft" in name}
    assert of_soft_experts == {"shared/level_0/soft_expert_0/cross_0"}
    assert not any("soft" in name for name in exported["ple"].proof.serving.variables)
