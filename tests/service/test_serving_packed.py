"""Exports of the trainer as the service scores them, against what is evaluated."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from components.trainer.calibrate.isotonic import Isotonic
from components.trainer.export.export import export_serving
from components.trainer.network.network import TwoTowerDCN
from components.trainer.settings import ModelSettings
from components.transform.graph import TransformGraph
from components.transform.layout import FeatureLayout
from schemas.contract import Contract
from schemas.errors import InputError
from service.models.inputs import InputSchema, RawFeatures
from service.models.saved_model import SavedModelScorer, read_schema

Rows = list[dict[str, Any]]
INPUTS = {"user_type": "user type", "flat_log": "flat log"}
"""Columns of inputs that are named otherwise."""


@pytest.fixture(scope="module")
def model(
    log_contract: Contract, transform_graph_dir: str, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A serving graph with hashed ids, a vocabulary's table and a calibrator."""
    layout = FeatureLayout.from_contract(log_contract)
    network = TwoTowerDCN(layout, ModelSettings(cross_layers=2, hidden_units=(5,)), seed=1)
    rng = np.random.default_rng(4)
    for variable in network.variables:
        variable.assign(rng.normal(0, 0.1, variable.shape))
    path = tmp_path_factory.mktemp("packed") / "model"
    calibrators = {"hard": Isotonic((-1.4, -0.4, 0.8), (-3.0, -0.8, -0.6))}
    transform = TransformGraph(transform_graph_dir)
    export_serving(network, transform, log_contract, str(path), calibrators)
    return path


@pytest.fixture(scope="module")
def rows(log_rows: Rows) -> Rows:
    """Logged rows, then one with values never seen, then one with nothing."""
    return [*log_rows[:30], {"advertiser": "new", "user type": "é", "price": -1e6}, {}]


@pytest.fixture(scope="module")
def evaluated(
    model: Path, rows: Rows, to_examples: Callable[[Rows], list[bytes]]
) -> npt.NDArray[np.float32]:
    signature = tf.saved_model.load(str(model)).signatures["serving_default"]
    answer: npt.NDArray[np.float32] = signature(examples=tf.constant(to_examples(rows)))[
        "probability"
    ].numpy()
    assert np.ptp(answer) > 0.05
    return answer


def columns_of(schema: InputSchema, rows: Rows) -> RawFeatures:
    columns = RawFeatures.empty(schema, len(rows))
    for i, row in enumerate(rows):
        columns.text[:, i] = [row.get(INPUTS.get(name, name), "") for name in schema.text]
        columns.numbers[:, i] = [
            row.get(INPUTS.get(name, name), math.nan) for name in schema.numbers
        ]
    return columns


def test_the_service_scores_as_the_evaluated_graph(
    model: Path, rows: Rows, evaluated: npt.NDArray[np.float32]
) -> None:
    schema = read_schema(model)
    assert schema.text == ("advertiser", "user_type", "c-1.x")
    assert schema.numbers == ("price", "seen", "age", "flat", "flat_log", "never")
    assert [schema.column(name) for name in ("user_type", "c-1.x", "flat_log")] == [
        "user type",
        "c-1.x",
        "flat log",
    ]
    assert schema.input_of("user type") == "user_type"
    assert schema.input_of("nowhere") is None
    columns = columns_of(schema, rows)
    scorer = SavedModelScorer(model, schema)
    np.testing.assert_allclose(scorer.score(columns), evaluated, rtol=1e-6)
    some = np.array([31, 3, 30])
    np.testing.assert_allclose(scorer.score(columns.take(some)), evaluated[some], rtol=1e-6)


def test_a_model_without_the_packed_signature_scores_the_same(
    model: Path, rows: Rows, evaluated: npt.NDArray[np.float32], tmp_path: Path
) -> None:
    """As pushed by an earlier release."""
    loaded = tf.saved_model.load(str(model))
    earlier = {name: loaded.signatures[name] for name in ("serving_default", "raw")}
    tf.saved_model.save(loaded, str(tmp_path / "earlier"), earlier)
    schema = read_schema(tmp_path / "earlier")
    assert schema.text == ("advertiser", "c-1.x", "user_type")
    scorer = SavedModelScorer(tmp_path / "earlier", schema)
    np.testing.assert_allclose(scorer.score(columns_of(schema, rows)), evaluated, rtol=1e-6)


def test_a_model_takes_the_columns_of_the_other_model_of_its_version(
    model: Path, rows: Rows, evaluated: npt.NDArray[np.float32]
) -> None:
    schema = read_schema(model)
    schema = InputSchema(schema.text[::-1], schema.numbers[::-1])
    scorer = SavedModelScorer(model, schema)
    np.testing.assert_allclose(scorer.score(columns_of(schema, rows)), evaluated, rtol=1e-6)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "packed_inputs.json: No such file"),
        ('{"text": {"advertiser": "advertiser"}, "numbers": {}}', "no feature 'age'"),
        ('{"text": []}', "packed_inputs.json: "),
    ],
)
def test_columns_that_are_not_those_of_the_features_are_refused(
    model: Path, tmp_path: Path, content: str | None, message: str
) -> None:
    shutil.copytree(model, tmp_path / "model")
    asset = tmp_path / "model" / "assets" / "packed_inputs.json"
    asset.unlink()
    if content is not None:
        asset.write_text(content)
    with pytest.raises(InputError, match=message):
        read_schema(tmp_path / "model")
