"""The HTTP face, over models that are constants."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient

from common.versions.folder import ServingFolder
from service.decoding.arrow_body import MEDIA_TYPE
from service.front import Front
from service.http.app import create_app
from service.http.messages import PredictResponse
from service.http.metrics import Metrics
from service.models.bundle import Bundle, Models
from service.models.inputs import InputSchema, RawFeatures
from service.models.live import Live, Loaded
from service.models.scorer import ScoringError
from service.predictor import Predictor, warm_up_bodies
from service.routing.decisions import DecisionLog
from service.settings import DecisionLogSettings, ServeSettings
from service.workers.wire import ARROW, JSON

Start = Callable[..., TestClient]
Load = Callable[..., Any]

EXPERIMENT = {
    "name": "ab",
    "variants": [
        {"name": "control", "share": 0.5, "serves": "one_task"},
        {"name": "mtl", "share": 0.5, "serves": "routed"},
    ],
}


@pytest.fixture
def start(tmp_path: Path, loader: Load, threads: Any) -> Iterator[Start]:
    """Starts a service on `tmp_path/serving`."""
    clients: list[TestClient] = []

    def run(load: Load = loader, **changes: Any) -> TestClient:
        raw = {"serving_dir": tmp_path / "serving", "poll_seconds": 60} | changes
        settings = ServeSettings.model_validate(raw)
        metrics = Metrics()
        live = Live(settings.serving_dir, lambda n, v: threads(settings, n, load(n, v)), metrics)
        live.refresh()
        log = DecisionLog(settings.decisions) if settings.decisions else None
        front = Front(settings, live, metrics, log)
        client = TestClient(create_app(front), raise_server_exceptions=False)
        client.front = front
        client.__enter__()
        clients.append(client)
        return client

    yield run
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def version(tmp_path: Path, fill: Callable[..., None]) -> int:
    return ServingFolder(tmp_path / "serving").publish(fill).version


def metric(client: TestClient, name: str) -> float:
    lines = client.get("/metrics").text.splitlines()
    return float(next(line for line in lines if line.startswith(f"{name} ")).rsplit(" ", 1)[1])


def test_candidates_are_split_scored_and_merged_in_order(start: Start, version: int) -> None:
    client = start()
    request = {
        "request_id": "r1",
        "context": {"shop": "a", "price": 1.0},
        "candidates": [
            {"setup_id": "a|visit"},
            {"features": {"goal": "buy", "price": 2.0}},
            {"setup_id": "a|z", "features": {"price": None}},
            {
                "setup_id": "z|buy",
                "category": "buy",
                "features": {"shop": "z", "price": 4.0},
            },
            {"features": {"goal": "buy", "price": 5.0}},
        ],
    }
    answer = client.post("/v1/predict", json=request)
    assert answer.status_code == 200
    body = PredictResponse.model_validate_json(answer.content)
    assert (body.request_id, body.model_version, body.assignment_id) == ("r1", version, "a0")
    assert [p.task for p in body.predictions] == ["soft", "hard", "soft", "hard", "hard"]
    assert [p.reason for p in body.predictions] == [
        "history",
        "history",
        "unknown_category",
        "unknown",
        "history",
    ]
    models = ["one_task", "hard_tower", "one_task", "hard_tower", "hard_tower"]
    assert [p.model for p in body.predictions] == models
    probabilities = [p.probability for p in body.predictions]
    assert probabilities == pytest.approx([0.751, 0.252, 0.75, 0.254, 0.255], rel=1e-6)
    assert {(p.model_version, p.assignment_id) for p in body.predictions} == {(version, "a0")}
    text = client.get("/metrics").text
    hard = 'model="hard_tower",reason="history",task="hard",variant=""'
    assert f"hardtower_candidates_total{{{hard}}} 2.0" in text
    assert 'hardtower_requests_total{status="200"} 1.0' in text


def _columns(**columns: list[str | None]) -> bytes:
    return json.dumps({"candidates": columns}).encode()


def _arrow(**columns: list[str | None]) -> bytes:
    batch = pa.RecordBatch.from_arrays(
        [pa.array(values, pa.string()) for values in columns.values()], list(columns)
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def _rows(**columns: list[str | None]) -> bytes:
    def row(values: dict[str, str | None]) -> dict[str, Any]:
        fields = {k: values.pop(k) for k in ("setup_id", "category") if k in values}
        return fields | {"features": values}

    rows = [row(dict(zip(columns, r, strict=True))) for r in zip(*columns.values(), strict=True)]
    return json.dumps({"candidates": rows}).encode()


BODIES = [(_rows, "application/json"), (_columns, "application/json"), (_arrow, MEDIA_TYPE)]


@pytest.mark.parametrize(("body", "kind"), BODIES)
def test_the_category_of_a_new_setup_is_that_of_its_column(
    start: Start, tmp_path: Path, fill: Callable[..., None], body: Callable[..., bytes], kind: str
) -> None:
    ServingFolder(tmp_path / "serving").publish(partial(fill, setup=("ad", "shop")))
    client = start(decisions={"path": tmp_path / "log.jsonl"})
    candidates: dict[str, list[str | None]] = {
        "setup_id": [None, "2|a", "3|a", "4|a", "5|a"],
        "category": [None, None, "buy", None, "buy"],
        "ad": ["1", None, None, None, None],
        "shop": ["a", None, None, None, None],
        "goal": ["buy", "bui", None, None, "buy"],
    }

    def ask() -> Any:
        headers = {"content-type": kind}
        return client.post("/v1/predict", content=body(**candidates), headers=headers)

    found = ask().json()["predictions"]
    assert [p["task"] for p in found] == ["hard", "soft", "hard", "soft", "hard"]
    wrong = "unknown_category"
    assert [p["reason"] for p in found] == ["unknown", wrong, "unknown", wrong, "unknown"]
    counted = f'model="one_task",reason="{wrong}",task="soft",variant=""'
    assert f"hardtower_candidates_total{{{counted}}} 2.0" in client.get("/metrics").text
    assert json.loads((tmp_path / "log.jsonl").read_text())["reason"][1] == wrong
    candidates["category"][1] = "buy"
    refused = ask()
    assert refused.status_code == 422
    assert refused.json()["errors"] == [
        {"field": "candidates.1.category", "message": "'buy'; wanted 'bui', as in feature 'goal'"}
    ]


@pytest.mark.parametrize("setup", ["a|buy", "new|buy"])
def test_a_category_that_the_setup_id_denies_is_refused(
    start: Start, version: int, setup: str
) -> None:
    asked = {"candidates": [{"setup_id": "a|buy"}, {"setup_id": setup, "category": "visit"}]}
    refused = start().post("/v1/predict", json=asked)
    assert refused.status_code == 422
    message = f"'visit'; wanted 'buy', as in setup {setup!r}"
    assert refused.json()["errors"] == [{"field": "candidates.1.category", "message": message}]


@pytest.mark.usefixtures("version")
@pytest.mark.parametrize(("body", "kind"), BODIES)
@pytest.mark.parametrize("shop", ["a", "b"])
def test_features_that_the_setup_id_denies_are_refused(
    start: Start, body: Callable[..., bytes], kind: str, shop: str
) -> None:
    """Of setups that the table holds (a|buy) and of new ones (b|buy)."""
    sent = body(setup_id=["a|visit", f"{shop}|buy"], shop=[None, shop], goal=["visit", "lead"])
    refused = start().post("/v1/predict", content=sent, headers={"content-type": kind})
    assert refused.status_code == 422
    message = "'buy'; wanted 'lead', as in feature 'goal'"
    assert refused.json()["errors"] == [{"field": "candidates.1.setup_id", "message": message}]


@pytest.mark.usefixtures("version")
def test_a_context_that_the_setup_id_denies_is_refused(start: Start) -> None:
    asked = {"context": {"shop": "b"}, "candidates": [{"setup_id": "a|buy"}]}
    refused = start().post("/v1/predict", json=asked)
    message = "'a'; wanted 'b', as in feature 'shop'"
    assert refused.json()["errors"] == [{"field": "candidates.0.setup_id", "message": message}]


class Texts:
    """Answers by the text that it sees: .1 for ad "1", .02 for goal "buy", .004 for shop "a"."""

    def score(self, columns: RawFeatures) -> npt.NDArray[np.float32]:
        told = columns.text == np.array([["1"], ["buy"], ["a"]])
        return (told * np.array([[0.1], [0.02], [0.004]])).sum(0, np.float32)


@pytest.mark.parametrize(("body", "kind"), BODIES)
def test_what_an_id_says_of_the_features_is_filled_in(
    start: Start,
    tmp_path: Path,
    fill: Callable[..., None],
    make_loader: Callable[..., Load],
    body: Callable[..., bytes],
    kind: str,
) -> None:
    """And so is a category; models see the candidate that is routed, however it is told."""
    ServingFolder(tmp_path / "serving").publish(partial(fill, setup=("ad", "shop")))
    client = start(make_loader(lambda *_: Models(Texts(), Texts())))
    sent = body(
        setup_id=["1|a", "1|a", None, "2|a", "1|b"],
        category=["buy", None, "buy", None, "lead"],
        ad=[None, "1", "1", None, None],
        shop=[None, None, "a", "a", None],
        goal=[None, "buy", None, "buy", "lead"],
    )
    answer = client.post("/v1/predict", content=sent, headers={"content-type": kind})
    found = [p["probability"] for p in answer.json()["predictions"]]
    assert found == pytest.approx([0.124, 0.124, 0.124, 0.024, 0.1])


def test_the_historical_cvr_comes_from_the_routing_table(
    start: Start, tmp_path: Path, fill: Callable[..., None], make_loader: Callable[..., Load]
) -> None:
    """A request may give its own; the prior of a rule serves unknown setups, if it has one."""
    ServingFolder(tmp_path / "serving").publish(fill)
    schema = InputSchema(text=(), numbers=("historical_cvr",))

    class Plain:
        """Answers the feature, 0 where it is missing."""

        def score(self, columns: RawFeatures) -> npt.NDArray[np.float32]:
            return np.nan_to_num(columns.numbers[0])

    client = start(make_loader(lambda *_: Models(Plain(), Plain()), schema))
    candidates: list[dict[str, Any]] = [
        {"setup_id": "a|buy"},
        {"setup_id": "a|buy", "features": {"historical_cvr": 0.5}},
        {"setup_id": "z|buy", "category": "buy"},
        {"setup_id": "z|z"},
    ]
    answer = client.post("/v1/predict", json={"candidates": candidates})
    found = [p.probability for p in PredictResponse.model_validate_json(answer.content).predictions]
    assert found == pytest.approx([0.001, 0.5, 0.002, 0.0])
    for wrong in (-5, 1.5):
        candidates[2]["features"] = {"historical_cvr": wrong}
        refused = client.post("/v1/predict", json={"candidates": candidates})
        (error,) = refused.json()["errors"]
        assert error == {
            "field": "candidates.2.features.historical_cvr",
            "message": f"{wrong}; wanted a number from 0 to 1",
        }


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("", None),
        ("{", None),
        ("[]", None),
        ('{"candidates": []}', "candidates"),
        ('{"candidates": 3}', "candidates"),
        ('{"candidate": []}', "candidate"),
        ('{"request_id": "r"}', "candidates"),
        ('{"candidates": [{"setup_id": "a", "price": 1}]}', "candidates.0.price"),
        ('{"candidates": [{"setup_id": 7}]}', "candidates.0.setup_id"),
        ('{"candidates": [{"setup_id": "a|a"}, {}]}', "candidates.1.setup_id"),
        ('{"candidates": [{"setup_id": "a|a"}, {"setup_id": "a"}]}', "candidates.1.setup_id"),
        ('{"candidates": {"setup_id": ["a|a", "a|a|a"]}}', "candidates.1.setup_id"),
        (
            '{"candidates": [{"setup_id": "a", "features": {"price": "x"}}]}',
            "candidates.0.features.price",
        ),
        ('{"context": {"x": 1}, "candidates": [{"setup_id": "a"}]}', "context.x"),
        ('{"candidates": [{"setup_id": "a"}, {"setup_id": "a"}, {"setup_id": "a"}]}', "candidates"),
        ('{"candidates": [{"setup_id": "\\ud800"}]}', None),
        ('{"key": "' + "k" * 2000 + '", "candidates": [{"setup_id": "a"}]}', "key"),
    ],
)
@pytest.mark.usefixtures("version")
def test_a_bad_request_is_told_the_field(start: Start, body: str, field: str | None) -> None:
    answer = start(max_candidates=2).post("/v1/predict", content=body)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert error["message"]
    assert "Traceback" not in answer.text


@pytest.mark.usefixtures("version")
def test_a_body_over_the_limit_is_refused_declared_or_not(start: Start) -> None:
    client = start(max_body_bytes=100)
    short = json.dumps({"candidates": [{"setup_id": "a|buy"}]})
    assert client.post("/v1/predict", content=short.ljust(100)).status_code == 200
    assert client.post("/v1/predict", content=short.ljust(101)).status_code == 413
    chunks = iter([short.encode(), b" " * 60, b" " * 60])
    assert client.post("/v1/predict", content=chunks).status_code == 413


def test_not_ready_until_a_version_loads(
    start: Start, tmp_path: Path, fill: Callable[..., None]
) -> None:
    client = start(poll_seconds=0.01)
    assert client.get("/health").text == "ok"
    assert client.get("/ready").status_code == 503
    answer = client.post("/v1/predict", json={"candidates": [{"setup_id": "a"}]})
    assert answer.status_code == 503
    assert "no version in serving is loaded yet" in answer.text
    (tmp_path / "serving" / "5").mkdir(parents=True)
    while "5" not in client.get("/ready").text:
        pass
    answer = client.post("/v1/predict", json={"candidates": [{"setup_id": "a"}]})
    assert "no version in serving could be loaded" in answer.text
    (tmp_path / "serving" / "5").rmdir()
    version = ServingFolder(tmp_path / "serving").publish(fill).version
    while client.get("/ready").status_code != 200:
        pass
    assert client.get("/ready").json() == {
        "ready": True,
        "model_version": version,
        "assignment_id": "a0",
        "refused": {},
    }
    assert metric(client, "hardtower_serving_version") == version


def test_a_refused_version_shows_in_readiness(start: Start, tmp_path: Path, version: int) -> None:
    (tmp_path / "serving" / str(version + 1)).mkdir()
    ready = start().get("/ready").json()
    assert ready["model_version"] == version
    assert "manifest.json" in ready["refused"][str(version + 1)]


@pytest.mark.usefixtures("version")
def test_a_model_that_fails_gives_no_detail_away(
    start: Start, make_loader: Callable[..., Load], caplog: pytest.LogCaptureFixture
) -> None:
    errors: list[Exception] = [ScoringError("secret host down"), KeyError("secret")]

    class Failing:
        calls = 0

        def score(self, columns: RawFeatures) -> Any:
            Failing.calls += 1
            # The first two calls are those of the load.
            if Failing.calls > 2:
                raise errors[Failing.calls - 3]
            return [0.5] * columns.numbers.shape[1]

    failing = Failing()
    client = start(make_loader(lambda n, v, s: Models(failing, failing)))
    for status in (503, 500):
        answer = client.post("/v1/predict", json={"candidates": [{"setup_id": "a|buy"}]})
        assert answer.status_code == status
        assert "secret" not in answer.text
    assert "secret host down" in caplog.text


@pytest.mark.usefixtures("version")
def test_requests_beyond_those_that_may_wait_are_refused(
    start: Start, make_loader: Callable[..., Load]
) -> None:
    go = threading.Event()
    go.set()

    class Slow:
        def score(self, columns: RawFeatures) -> Any:
            assert go.wait(30)
            return [0.5] * columns.numbers.shape[1]

    load = make_loader(lambda n, v, s: Models(Slow(), Slow()))
    client = start(load, workers=1, max_waiting=1)
    go.clear()
    request = {"candidates": [{"setup_id": "a|buy"}]}
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(client.post, "/v1/predict", json=request) for _ in range(2)]
        while client.front.waiting < 2:
            pass
        refused = client.post("/v1/predict", json=request)
        assert client.get("/health").status_code == 200
        go.set()
        assert [w.result().status_code for w in waiting] == [200, 200]
    assert refused.status_code == 503
    assert refused.json()["errors"][0]["message"] == "more than 1 requests wait"
    assert client.post("/v1/predict", json=request).status_code == 200


@pytest.mark.usefixtures("version")
def test_a_request_whose_turn_would_come_too_late_is_refused_at_once(
    start: Start, make_loader: Callable[..., Load]
) -> None:
    go = threading.Event()
    go.set()

    class Slow:
        def score(self, columns: RawFeatures) -> Any:
            time.sleep(0.2)
            assert go.wait(30)
            return [0.5] * columns.numbers.shape[1]

    client = start(
        make_loader(lambda n, v, s: Models(Slow(), Slow())), workers=1, max_wait_seconds=0.1
    )
    request = {"candidates": [{"setup_id": "a|buy"}]}
    assert client.post("/v1/predict", json=request).status_code == 200
    go.clear()
    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(client.post, "/v1/predict", json=request)
        while client.front.waiting < 1:
            pass
        refused = client.post("/v1/predict", json=request)
        go.set()
        assert under_way.result().status_code == 200
    assert refused.status_code == 503
    assert refused.json()["errors"][0]["message"].startswith("a turn comes in 0.")
    assert client.post("/v1/predict", json=request).status_code == 200


@pytest.mark.usefixtures("version")
def test_bodies_in_memory_are_bounded_together(start: Start) -> None:
    client = start(max_held_bytes=60)
    short = json.dumps({"candidates": [{"setup_id": "a|buy"}]})
    assert client.post("/v1/predict", content=short.ljust(60)).status_code == 200
    assert client.post("/v1/predict", content=short.ljust(61)).status_code == 503
    # What was refused is not held.
    assert client.post("/v1/predict", content=short.ljust(60)).status_code == 200


@pytest.mark.usefixtures("version")
def test_variants_and_the_decision_log(start: Start, tmp_path: Path) -> None:
    log = tmp_path / "decisions.jsonl"
    client = start(experiment=EXPERIMENT, decisions=DecisionLogSettings(path=log))
    models: dict[str, set[str]] = {}
    for i in range(20):
        request = {"key": f"user {i}", "candidates": [{"setup_id": "a|buy"}]}
        (found,) = client.post("/v1/predict", json=request).json()["predictions"]
        models.setdefault(found["variant"], set()).add(found["model"])
    assert models == {"control": {"one_task"}, "mtl": {"hard_tower"}}
    answer = client.post("/v1/predict", json={"candidates": [{"setup_id": "a|buy"}]})
    assert answer.json()["errors"][0]["field"] == "key"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["key"] for line in lines] == [f"user {i}" for i in range(20)]
    assert {v for line in lines for v in line["variant"]} == {"control", "mtl"}


@pytest.mark.usefixtures("version")
def test_a_version_warms_up_by_requests_that_are_answered(
    loader: Callable[..., Bundle], fill: Callable[..., None], tmp_path: Path
) -> None:
    fill(tmp_path / "7", 7)
    loaded = Loaded(7, loader(7, tmp_path / "7"))
    predictor = Predictor(ServeSettings(serving_dir=tmp_path), loaded)
    kinds = []
    for body, kind in warm_up_bodies(loaded.contents, 3):
        kinds.append(kind)
        reply = predictor.predict(body, kind)
        assert reply.status == 200, reply.content
        assert len(json.loads(reply.content)["predictions"]) == 3
    assert kinds == [JSON, ARROW]


def test_openapi_describes_request_and_answer(start: Start) -> None:
    client = start()
    document = client.get("/openapi.json").json()
    operation = document["paths"]["/v1/predict"]["post"]
    schemas = document["components"]["schemas"]
    content = operation["requestBody"]["content"]["application/json"]
    assert content["schema"]["$ref"].rsplit("/", 1)[1] in schemas
    assert "setup_id" in schemas["Candidate"]["properties"]
    assert set(operation["responses"]) >= {"200", "413", "422", "503"}
    # No page of the service's loads anything from elsewhere.
    for page in ("/nowhere", "/docs", "/redoc", "/docs/oauth2-redirect"):
        assert client.get(page).status_code == 404
    assert client.get("/v1/predict").status_code == 405
