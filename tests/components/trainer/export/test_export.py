"""SavedModels answered by another process, against the network in this one."""

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import tensorflow as tf

from common.versions.signatures import input_names
from components.trainer.calibrate.calibrator import Calibrator
from components.trainer.calibrate.isotonic import Isotonic
from components.trainer.calibrate.platt import Platt
from components.trainer.export.export import (
    ServingGraph,
    export_full,
    export_serving,
    raw_signature,
)
from components.trainer.export.pruning import PruningError, prove_pruning
from components.trainer.network.network import TwoTowerDCN
from components.trainer.settings import Mode, ModelSettings
from components.transform.graph import TransformGraph, feature_spec
from components.transform.layout import FeatureLayout
from schemas.contract import Contract

Rows = list[dict[str, Any]]
MODES = ("two_tower", "one_task", "hard_only")
CALIBRATORS: dict[str, Calibrator] = {
    "platt": Platt(0.7, -1.5),
    "isotonic": Isotonic((-1.4, -0.4, 0.8), (-3.0, -0.8, -0.6)),
}
CALIBRATED = {
    (mode, method): calibrator
    for mode in ("two_tower", "one_task")
    for method, calibrator in CALIBRATORS.items()
}

ANSWER = """
import json, sys
import tensorflow as tf
folder, examples, raw, blocks, names = sys.argv[1], *map(json.loads, sys.argv[2:])
examples = tf.constant([bytes.fromhex(example) for example in examples])
raw = {
    name: tf.constant([bytes.fromhex(v) for v in values] if kind == "string" else values)
    for name, (kind, values) in raw.items()
}
inputs = {"serving_default": {"examples": examples}, "raw": raw}
inputs["packed"] = {
    block: tf.stack([raw[name] for name in names], axis=1) for block, names in blocks.items()
}
answers = {}
for name in names:
    model = tf.saved_model.load(f"{folder}/{name}")
    for signature in model.signatures:
        found = model.signatures[signature](**inputs[signature])
        answers[f"{name}/{signature}"] = {
            output: [str(tensor.dtype.name), tensor.numpy().tolist()]
            for output, tensor in found.items()
        }
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def networks(log_contract: Contract) -> dict[str, TwoTowerDCN]:
    """A network a mode; every weight drawn large enough to move each probability."""
    rng = np.random.default_rng(2)
    layout = FeatureLayout.from_contract(log_contract)
    made = {}
    for mode in MODES:
        settings = ModelSettings(
            mode=cast("Mode", mode), cross_layers=2, hidden_units=(5,), shared_layers=1
        )
        made[mode] = TwoTowerDCN(layout, settings, seed=1)
        for variable in made[mode].variables:
            large = 0.3 if "/wide/ids" in variable.name else 0.08
            variable.assign(rng.normal(0, large, variable.shape))
    return made


@pytest.fixture(scope="module")
def rows(log_rows: Rows) -> Rows:
    """Logged rows, then one with values never seen, then one with nothing."""
    unseen = {"advertiser": "new", "user type": "watch", "c-1.x": "?", "price": -1e6, "never": 1.0}
    return [*log_rows[:30], unseen, {}]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `answers` exports to: `<mode>[+<calibrator>]/<graph>`."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def answers(
    networks: dict[str, TwoTowerDCN],
    rows: Rows,
    transform_graph_dir: str,
    log_contract: Contract,
    to_examples: Callable[[Rows], list[bytes]],
    models: Path,
) -> dict[str, dict[str, list[Any]]]:
    """Outputs by `<mode>[+<calibrator>]/<graph>/<signature>`, from SavedModels in a new process."""
    transform = TransformGraph(transform_graph_dir)
    for mode, network in networks.items():
        export_serving(network, transform, log_contract, str(models / mode / "serving"))
        export_full(network, transform, log_contract, str(models / mode / "full"))
    names = list(MODES)
    for (mode, method), calibrator in CALIBRATED.items():
        names.append(f"{mode}+{method}")
        for export, graph in ((export_serving, "serving"), (export_full, "full")):
            folder = str(models / names[-1] / graph)
            calibrators = {networks[mode].serving_tower: calibrator}
            export(networks[mode], transform, log_contract, folder, calibrators)
    raw: dict[str, tuple[str, list[Any]]] = {}
    for column, spec in raw_signature(log_contract).items():
        if spec.dtype == tf.string:
            raw[spec.name] = ("string", [row.get(column, "").encode().hex() for row in rows])
        else:
            raw[spec.name] = ("float", [row.get(column, math.nan) for row in rows])
    paths = [f"{name}/{graph}" for name in names for graph in ("serving", "full")]
    blocks = {
        "text": ["advertiser", "user_type", "c-1.x"],
        "numbers": ["price", "seen", "age", "flat", "flat_log", "never"],
    }
    arguments = [[e.hex() for e in to_examples(rows)], raw, blocks, paths]
    done = subprocess.run(
        [sys.executable, "-c", ANSWER, str(models), *map(json.dumps, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path("/"),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return cast("dict[str, dict[str, list[Any]]]", json.loads(done.stdout))


def probabilities(network: TwoTowerDCN, tower: str, packed: tuple[tf.Tensor, tf.Tensor]) -> Any:
    return 1 / (1 + np.exp(-network.logits(*packed)[tower].numpy().astype(np.float64)))


@pytest.fixture(scope="module")
def packed(
    rows: Rows,
    transform_graph_dir: str,
    log_contract: Contract,
    to_examples: Callable[[Rows], list[bytes]],
) -> tuple[tf.Tensor, tf.Tensor]:
    raw = tf.io.parse_example(to_examples(rows), feature_spec(log_contract))
    return TransformGraph(transform_graph_dir)(raw)


def test_the_packed_graph_takes_no_feature_apart(
    networks: dict[str, TwoTowerDCN], transform_graph_dir: str, log_contract: Contract
) -> None:
    path = networks["two_tower"].path("hard")
    graph = ServingGraph(TransformGraph(transform_graph_dir), path, log_contract)
    (output,) = graph.from_packed.get_concrete_function().graph.outputs
    needed, waiting = set(), [output.op]
    while waiting:
        operation = waiting.pop()
        if operation not in needed:
            needed.add(operation)
            waiting += [tensor.op for tensor in operation.inputs]
    kinds = [operation.type for operation in needed]
    assert kinds.count("StringToHashBucketFast") == 1
    assert "Unpack" not in kinds


@pytest.mark.parametrize("signature", ["serving_default", "raw", "packed"])
@pytest.mark.parametrize(
    ("mode", "tower"), [("two_tower", "hard"), ("one_task", "all"), ("hard_only", "hard")]
)
def test_the_serving_graph_answers_as_its_tower(
    mode: str,
    tower: str,
    signature: str,
    networks: dict[str, TwoTowerDCN],
    packed: tuple[tf.Tensor, tf.Tensor],
    answers: dict[str, dict[str, list[Any]]],
) -> None:
    found = answers[f"{mode}/serving/{signature}"]
    assert list(found) == ["probability"]
    dtype, values = found["probability"]
    assert dtype == "float32"
    wanted = probabilities(networks[mode], tower, packed)
    assert np.ptp(wanted) > 0.1
    np.testing.assert_allclose(values, wanted, rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("mode", "hard", "soft"),
    [("two_tower", "hard", "soft"), ("one_task", "all", "all"), ("hard_only", "hard", "hard")],
)
def test_the_full_graph_answers_for_both_tasks(
    mode: str,
    hard: str,
    soft: str,
    networks: dict[str, TwoTowerDCN],
    packed: tuple[tf.Tensor, tf.Tensor],
    answers: dict[str, dict[str, list[Any]]],
) -> None:
    found = answers[f"{mode}/full/serving_default"]
    assert set(found) == {"hard", "soft"}
    for task, tower in (("hard", hard), ("soft", soft)):
        wanted = probabilities(networks[mode], tower, packed)
        np.testing.assert_allclose(found[task][1], wanted, rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("mode", ["two_tower", "one_task"])
@pytest.mark.parametrize("method", CALIBRATORS)
def test_both_graphs_calibrate_the_towers_that_have_a_calibrator(
    mode: str,
    method: str,
    networks: dict[str, TwoTowerDCN],
    packed: tuple[tf.Tensor, tf.Tensor],
    answers: dict[str, dict[str, list[Any]]],
) -> None:
    network, name = networks[mode], f"{mode}+{method}"
    z = network.logits(*packed)[network.serving_tower].numpy().astype(np.float64)
    wanted = CALIBRATED[mode, method].probability(z)
    plain = probabilities(network, network.serving_tower, packed)
    assert np.abs(wanted - plain).max() > 0.02
    np.testing.assert_array_equal(np.argsort(wanted), np.argsort(plain))
    full = answers[f"{name}/full/serving_default"]
    soft = wanted if mode == "one_task" else probabilities(network, "soft", packed)
    for found, expected in (
        (answers[f"{name}/serving/serving_default"]["probability"], wanted),
        (answers[f"{name}/serving/raw"]["probability"], wanted),
        (full["hard"], wanted),
        (full["soft"], soft),
    ):
        assert found[0] == "float32"
        np.testing.assert_allclose(found[1], expected, rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("method", CALIBRATORS)
def test_the_proof_of_pruning_holds_with_a_calibrator(
    method: str,
    models: Path,
    answers: dict[str, dict[str, list[Any]]],
    rows: Rows,
    to_examples: Callable[[Rows], list[bytes]],
) -> None:
    folder = models / f"two_tower+{method}"
    proof = prove_pruning(folder / "serving", folder / "full", to_examples(rows))
    assert proof.soft_variables
    with pytest.raises(PruningError, match="predictions of 'serving_default' differ"):
        prove_pruning(folder / "serving", models / "two_tower" / "full", to_examples(rows))


def test_raw_signature_names_the_columns(log_contract: Contract) -> None:
    seen = {
        column: (spec.name, spec.dtype, spec.shape.as_list())
        for column, spec in raw_signature(log_contract).items()
    }
    assert seen == {
        "advertiser": ("advertiser", tf.string, [None]),
        "user type": ("user_type", tf.string, [None]),
        "c-1.x": ("c-1.x", tf.string, [None]),
        "price": ("price", tf.float32, [None]),
        "seen": ("seen", tf.float32, [None]),
        "age": ("age", tf.float32, [None]),
        "flat": ("flat", tf.float32, [None]),
        "flat log": ("flat_log", tf.float32, [None]),
        "never": ("never", tf.float32, [None]),
    }


def test_input_names_are_kept_apart() -> None:
    columns = ("a b", "a_b", "A-B", "A?B", "_x", "x", "é", "-")
    names = [input_names(columns)[column] for column in columns]
    assert names == ["a_b", "a_b_2", "A-B", "A_B_3", "x", "x_2", "input", "input_2"]


def test_exports_of_the_same_network_hold_the_same_variables(
    tmp_path: Path,
    networks: dict[str, TwoTowerDCN],
    transform_graph_dir: str,
    log_contract: Contract,
) -> None:
    for name in ("first", "second"):
        transform = TransformGraph(transform_graph_dir)
        export_serving(networks["two_tower"], transform, log_contract, str(tmp_path / name))
    files = {
        p.relative_to(tmp_path / "first")
        for folder in ("variables", "assets")
        for p in (tmp_path / "first" / folder).iterdir()
    }
    assert len(files) == 4
    for file in files:
        one, other = (tmp_path / name / file for name in ("first", "second"))
        assert one.read_bytes() == other.read_bytes(), file
