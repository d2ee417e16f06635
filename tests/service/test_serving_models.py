"""Pushed SavedModels, scored in this process and through TF Serving's REST API."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import tensorflow as tf

from common.versions.folder import ServingFolder
from schemas.contract import load_contract
from schemas.errors import InputError
from service.decoding.json_body import JsonDecoder
from service.models.inputs import InputSchema, contract_schema
from service.models.saved_model import SavedModelScorer, read_schema
from service.models.scorer import ScoringError
from service.predictor import Predictor
from service.settings import ServeSettings
from service.workers.wire import JSON
from service.workers.worker import open_predictor

SLOPES = {"hard": 0.5, "one_task": -2.0}
"""Of the two models that `fill_saved` publishes."""


@pytest.fixture
def version(tmp_path: Path, fill_saved: Any) -> int:
    """A version with the two models in it."""
    return ServingFolder(tmp_path / "serving").publish(fill_saved).version


class FakeTFServing(BaseHTTPRequestHandler):
    """Status and predict of TF Serving's REST API over SavedModels on disk."""

    models: ClassVar[dict[str, Any]] = {}
    """(model name, version) in the path -> raw signature."""

    def do_GET(self) -> None:
        state = "AVAILABLE" if self.path in self.models else "LOADING"
        self._answer(200, {"model_version_status": [{"version": "1", "state": state}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        path, _, verb = self.path.rpartition(":")
        if verb != "predict" or path not in self.models:
            return self._answer(404, {"error": f"Servable not found for request: {path}"})
        signature = self.models[path]
        types = {"price": tf.float32, "the_shop": tf.string}
        inputs = {n: tf.constant(v, types[n]) for n, v in body["inputs"].items()}
        assert body["signature_name"] == "raw"
        # A single output stands without its name in TF Serving's columnar format.
        self._answer(200, {"outputs": signature(**inputs)["probability"].numpy().tolist()})

    def _answer(self, status: int, body: Any) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def tf_serving(version: int, saved: dict[str, Path]) -> Iterator[str]:
    names = {"hard": "hardtower", "one_task": "hardtower_one_task"}
    loaded = {name: tf.saved_model.load(str(path)) for name, path in saved.items()}
    FakeTFServing.models = {
        f"/v1/models/{names[name]}/versions/{version}": model.signatures["raw"]
        for name, model in loaded.items()
    }
    server = ThreadingHTTPServer(("127.0.0.1", 0), FakeTFServing)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


REQUEST = json.dumps(
    {
        "context": {"the_shop": "é"},
        "candidates": [
            {"setup_id": "a|buy", "features": {"price": 1.5}},
            {"setup_id": "a|visit", "features": {"price": 1.5, "the_shop": "x"}},
            {"setup_id": "a|buy", "features": {"the_shop": None}},
        ],
    }
).encode()
LOGITS = [SLOPES["hard"] * 1.5 + 1, SLOPES["one_task"] * 1.5, 0.0]


def opened(folder: Path, wanted: InputSchema | None = None, **settings: Any) -> Predictor:
    made = ServeSettings.model_validate({"serving_dir": folder / "serving"} | settings)
    newest = ServingFolder(made.serving_dir).newest()
    assert newest is not None
    return open_predictor(made, newest.number, newest.path, wanted)


def probabilities(predictor: Predictor) -> list[float]:
    reply = predictor.predict(REQUEST, JSON)
    assert reply.status == 200, reply.content
    return [p["probability"] for p in json.loads(reply.content)["predictions"]]


@pytest.mark.usefixtures("version")
def test_scores_in_this_process(tmp_path: Path) -> None:
    predictor = opened(tmp_path)
    assert predictor.bundle.schema == InputSchema(("the_shop",), ("price",))
    np.testing.assert_allclose(probabilities(predictor), 1 / (1 + np.exp(-np.array(LOGITS))), 1e-6)


@pytest.mark.usefixtures("version")
def test_scores_through_tf_serving(tmp_path: Path, tf_serving: str) -> None:
    predictor = opened(tmp_path, tf_serving={"url": tf_serving})
    np.testing.assert_allclose(probabilities(predictor), 1 / (1 + np.exp(-np.array(LOGITS))), 1e-6)


def test_a_version_waits_until_tf_serving_has_both_models(
    tmp_path: Path, version: int, tf_serving: str
) -> None:
    missing = f"/v1/models/hardtower_one_task/versions/{version}"
    model = FakeTFServing.models.pop(missing)
    with pytest.raises(ScoringError, match="state LOADING; wanted AVAILABLE"):
        opened(tmp_path, tf_serving={"url": tf_serving})
    FakeTFServing.models[missing] = model
    opened(tmp_path, tf_serving={"url": tf_serving})


@pytest.mark.usefixtures("version")
def test_a_contract_with_other_features_refuses_the_version(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no feature 'age'"):
        opened(tmp_path, contract_schema(load_contract("complete_journey")))


def test_a_contracts_inputs_are_those_of_its_models() -> None:
    schema = contract_schema(load_contract("complete_journey"))
    assert ("brand" in schema.text, "pair_due" in schema.numbers) == (True, True)
    assert (len(schema.text), len(schema.numbers)) == (15, 52)


def test_a_model_without_raw_signature_or_of_another_type_is_refused(tmp_path: Path) -> None:
    module = tf.Module()
    module.f = tf.function(
        lambda x: {"probability": x}, input_signature=[tf.TensorSpec([None], tf.int64, name="x")]
    )
    tf.saved_model.save(module, str(tmp_path / "int"), {"raw": module.f})
    with pytest.raises(InputError, match="input 'x' is int64"):
        read_schema(tmp_path / "int")
    tf.saved_model.save(module, str(tmp_path / "other"), {"serving_default": module.f})
    with pytest.raises(InputError, match="no signature 'raw'"):
        read_schema(tmp_path / "other")
    (tmp_path / "saved_model.pb").write_bytes(b"\xff\xff")
    with pytest.raises(InputError, match="not a SavedModel"):
        read_schema(tmp_path)


def test_scores_do_not_depend_on_the_other_candidates(saved: dict[str, Path]) -> None:
    schema = read_schema(saved["hard"])
    scorer = SavedModelScorer(saved["hard"], schema)
    rows = [{"price": i / 7, "the_shop": "é" if i % 3 else "x"} for i in range(20)]

    def score(rows: list[dict[str, Any]]) -> Any:
        body = json.dumps({"candidates": [{"features": row} for row in rows]}).encode()
        return scorer.score(JsonDecoder(schema, 20).decode(body).columns)

    together = score(rows)
    alone = [score([row])[0] for row in rows]
    np.testing.assert_allclose(together, alone, rtol=1e-6)
