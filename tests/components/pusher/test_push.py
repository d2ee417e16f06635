"""A push from SavedModel to served version, read back in another process."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from common.runs.info import RunInfo
from common.versions.digest import config_digest, model_digest
from common.versions.folder import ServingFolder
from common.versions.manifest import Manifest, build_manifest
from common.versions.reference import ONE_TASK_DIRECTORY, START, TRAIN_STATISTICS
from components.pusher.push import Cargo, not_blessed, push
from components.pusher.record import Graph, Pruning
from components.pusher.settings import PushSettings
from components.pusher.warmup import only_features, raw_features, warmup_requests, write_warmup
from schemas.errors import InputError

SETTINGS = PushSettings(keep=2, warmup_requests=3, warmup_batch=4)

ROUTE = {"setup_id": "a|buy", "task": "hard", "reason": "history", "historical_cvr": 0.001}
ROUTING_SETTINGS = {
    "alpha": 0.01,
    "online_alpha": 0.009,
    "setup": ["shop", "goal"],
    "unknown_setups": [{"category": None, "advertiser_type": None, "task": "soft"}],
}

PRUNING = Pruning(
    serving=Graph(variables=1, parameters=1, operations=9, size=100),
    full=Graph(variables=2, parameters=2, operations=18, size=200),
    soft_variables=("soft/slope",),
    examples=5,
    largest_difference=0.0,
)


class Tiny(tf.Module):
    """Probability = sigmoid(price * slope + 1 where ad is b"x")."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = tf.Variable(slope, dtype=tf.float32)

    def _probability(self, price: tf.Tensor, ad: tf.Tensor) -> dict[str, tf.Tensor]:
        bonus = tf.cast(ad == b"x", tf.float32)
        return {"probability": tf.sigmoid(price * self.slope + bonus)}

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.float32), tf.TensorSpec([None], tf.string)]
    )
    def raw(self, price: tf.Tensor, ad: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._probability(price, ad)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        parsed = tf.io.parse_example(
            examples,
            {
                "price": tf.io.FixedLenFeature([], tf.float32, 0.0),
                "ad": tf.io.FixedLenFeature([], tf.string, b""),
            },
        )
        return self._probability(parsed["price"], parsed["ad"])


def example(price: float, ad: bytes) -> bytes:
    """A labelled record: two features of the model and three fields that are none."""
    features = tf.train.Example().features
    features.feature["price"].float_list.value.append(price)
    features.feature["ad"].bytes_list.value.append(ad)
    features.feature["converted"].int64_list.value.append(1)
    features.feature["historical_cvr"].float_list.value.append(0.001)
    features.feature["task"].bytes_list.value.append(b"hard")
    return tf.train.Example(features=features).SerializeToString()


EXAMPLES = [example(float(i), b"x" if i % 2 else b"y") for i in range(5)]


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "Format-Serving"
    tiny = Tiny(0.5)
    tf.saved_model.save(
        tiny, str(path), signatures={"serving_default": tiny.examples, "raw": tiny.raw}
    )
    return path


@pytest.fixture
def routing(tmp_path: Path) -> Path:
    path = tmp_path / "routing.parquet"
    pq.write_table(pa.Table.from_pylist([ROUTE]), path)
    return path


def manifest_of(model: Path, assignment_id: str = "0123456789abcdef") -> Manifest:
    return build_manifest(
        run=RunInfo(
            run_id="run-7",
            seed=3,
            as_of="2026-02-01",
            contract="tiny",
            code_version="0.1.0+abc",
            config={"b": 1, "a": {"alpha": 0.01}},
        ),
        assignment={"assignment_id": assignment_id, "alpha": 0.01, "online_alpha": 0.009},
        splits={
            "train": {
                "first_day": "2026-01-01",
                "last_day": "2026-01-20",
                "examples": 100,
                "positives": 9,
                "hard_examples": 60,
                "hard_positives": 2,
            },
            "eval": {"first_day": "2026-01-25", "last_day": "2026-01-31", "examples": 30},
            "none": {"examples": 4},
        },
        metrics=[
            {"model": "candidate", "slice": "task=hard", "metric": "rig", "value": 0.2},
            {"model": "candidate", "slice": "task=hard", "metric": "auc", "value": None},
            {"model": "candidate", "slice": "all", "metric": "rig", "value": 0.9},
            {"model": "one_task", "slice": "task=hard", "metric": "rig", "value": 0.1},
        ],
        verdict={"blessed": True, "summary": "blessed: no baseline yet", "baseline": None},
        model_digest=model_digest(model),
        created=datetime(2026, 2, 1, 3, 4, 5, tzinfo=UTC),
    )


def cargo_of(model: Path, routing: Path, assignment_id: str = "0123456789abcdef") -> Cargo:
    features = raw_features(model)
    requests = warmup_requests([only_features(e, features) for e in EXAMPLES], SETTINGS)
    settings = routing.with_name("settings.json")
    settings.write_text(json.dumps(ROUTING_SETTINGS | {"assignment_id": assignment_id}))
    return Cargo(
        model,
        {"routing.parquet": routing, "routing.json": settings},
        None,
        manifest_of(model, assignment_id),
        write_warmup=lambda folder: write_warmup(folder, requests),
    )


def at(seconds: float) -> Callable[[], float]:
    return lambda: seconds


def test_manifest_says_where_a_model_comes_from(saved_model: Path) -> None:
    manifest = manifest_of(saved_model)
    assert manifest.version is None
    assert (manifest.data.first_day, manifest.data.last_day) == ("2026-01-01", "2026-01-31")
    assert list(manifest.data.splits) == ["train", "eval"]
    assert manifest.data.splits["train"].hard_positives == 2
    assert manifest.data.splits["eval"].positives == 0
    assert manifest.metrics == {"candidate": {"rig": 0.2}, "one_task": {"rig": 0.1}}
    assert manifest.created == "2026-02-01T03:04:05+00:00"
    assert manifest.libraries["tensorflow"] == tf.__version__
    assert (
        manifest.config_digest
        == "sha256:" + hashlib.sha256(b'{"a":{"alpha":0.01},"b":1}').hexdigest()
    )
    assert Manifest.model_validate_json(manifest.model_dump_json()) == manifest


def test_config_digest_ignores_the_order_of_keys() -> None:
    assert config_digest({"a": 1, "b": 2}) == config_digest({"b": 2, "a": 1})
    assert config_digest({"a": 1}) != config_digest({"a": 2})


@pytest.mark.parametrize(
    "change",
    [
        lambda model: (model / "saved_model.pb").write_bytes(b"other"),
        lambda model: (model / "saved_model.pb").rename(model / "other.pb"),
        lambda model: (model / "assets" / "more").write_bytes(b""),
    ],
    ids=["content", "name", "one more file"],
)
def test_model_digest_sees_every_change(tmp_path: Path, change: Callable[[Path], object]) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / "saved_model.pb").write_bytes(b"graph")
    (tmp_path / "assets" / "vocab").write_bytes(b"words")
    before = model_digest(tmp_path)
    content = {
        name: hashlib.sha256(text).hexdigest()
        for name, text in {"assets/vocab": b"words", "saved_model.pb": b"graph"}.items()
    }
    listing = "".join(f"{digest}  {name}\n" for name, digest in content.items())
    assert before == "sha256:" + hashlib.sha256(listing.encode()).hexdigest()
    (tmp_path / "assets.extra").mkdir()
    (tmp_path / "assets.extra" / "manifest.json").write_text("{}")
    assert model_digest(tmp_path) == before
    change(tmp_path)
    assert model_digest(tmp_path) != before


LOAD = """
import json, sys
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
examples = [bytes.fromhex(e) for e in sys.argv[2:]]
probability = model.signatures["serving_default"](examples=tf.constant(examples))["probability"]
print(json.dumps(probability.numpy().tolist()))
"""


def test_a_pushed_model_serves_in_another_process(
    tmp_path: Path, saved_model: Path, routing: Path
) -> None:
    serving = tmp_path / "serving"
    record = push(cargo_of(saved_model, routing), serving, SETTINGS, PRUNING, at(1000))
    assert (record.pushed, record.version, record.path) == (True, 1000, str(serving / "1000"))
    assert record.reason == "pushed as version 1000"
    assert record.pruning == PRUNING

    loaded = subprocess.run(
        [sys.executable, "-c", LOAD, record.path or "", *(e.hex() for e in EXAMPLES)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    logits = np.arange(5) * 0.5 + np.array([0, 1, 0, 1, 0])
    np.testing.assert_allclose(json.loads(loaded.stdout), 1 / (1 + np.exp(-logits)), rtol=1e-6)

    extra = serving / "1000" / "assets.extra"
    assert pq.read_table(extra / "routing.parquet").to_pylist() == [ROUTE]
    manifest = Manifest.model_validate_json((extra / "manifest.json").read_text())
    assert manifest == manifest_of(saved_model).model_copy(update={"version": 1000})
    assert model_digest(serving / "1000") == manifest.model_digest == model_digest(saved_model)


def test_warmup_requests_run_and_hold_no_label(
    tmp_path: Path, saved_model: Path, routing: Path
) -> None:
    record = push(cargo_of(saved_model, routing), tmp_path / "serving", SETTINGS, PRUNING, at(1000))
    path = Path(record.path or "") / "assets.extra" / "tf_serving_warmup_requests"
    logs = [
        prediction_log_pb2.PredictionLog.FromString(raw)
        for raw in tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    ]
    assert len(logs) == SETTINGS.warmup_requests
    signature = tf.saved_model.load(record.path).signatures["serving_default"]
    sent = []
    for log in logs:
        request = log.predict_log.request
        assert (request.model_spec.name, request.model_spec.signature_name) == (
            "hardtower",
            "serving_default",
        )
        examples = tf.make_ndarray(request.inputs["examples"])
        assert signature(examples=tf.constant(examples))["probability"].shape == [4]
        sent += list(examples)
    parsed = [tf.train.Example.FromString(e).features.feature for e in sent]
    assert [f["price"].float_list.value[0] for f in parsed] == [i % 5 for i in range(12)]
    assert {name for f in parsed for name in f} == {"price", "ad"}


@pytest.mark.parametrize(("examples", "count"), [([], 3), (EXAMPLES, 0)])
def test_no_request_no_warmup_file(tmp_path: Path, examples: list[bytes], count: int) -> None:
    settings = SETTINGS.model_copy(update={"warmup_requests": count})
    write_warmup(tmp_path, warmup_requests(examples, settings))
    assert list(tmp_path.iterdir()) == []


def test_the_same_model_and_assignment_are_pushed_once(
    tmp_path: Path, saved_model: Path, routing: Path
) -> None:
    serving = tmp_path / "serving"
    push(cargo_of(saved_model, routing), serving, SETTINGS, PRUNING, at(1000))
    again = push(cargo_of(saved_model, routing), serving, SETTINGS, PRUNING, at(2000))
    assert (again.pushed, again.version) == (False, 1000)
    assert again.reason == "version 1000 already serves this model"
    assert ServingFolder(serving).versions() == [1000]

    other = cargo_of(saved_model, routing, "fedcba9876543210")
    moved = push(other, serving, SETTINGS, PRUNING, at(3000))
    assert (moved.pushed, moved.version) == (True, 3000)
    back = push(cargo_of(saved_model, routing), serving, SETTINGS, PRUNING, at(4000))
    assert (back.pushed, back.version) == (True, 4000)
    assert ServingFolder(serving).versions() == [3000, 4000]


def test_a_backfill_does_not_undo_what_has_happened_since(
    saved_model: Path, routing: Path, tmp_path: Path
) -> None:
    serving = tmp_path / "serving"
    first = push(cargo_of(saved_model, routing), serving, PushSettings(), PRUNING, at(100))
    cargo = cargo_of(saved_model, routing, "another0another0")
    data = cargo.manifest.data.model_copy(update={"as_of": "2026-01-31"})
    older = replace(cargo, manifest=cargo.manifest.model_copy(update={"data": data}))
    kept = push(older, serving, PushSettings(), PRUNING, at(200))
    assert (kept.pushed, kept.version, kept.path) == (False, None, None)
    assert kept.reason == "version 100 serves a model as of 2026-02-01, which is later"
    assert [p.name for p in serving.iterdir() if p.name.isdigit()] == ["100"]
    wanted = push(older, serving, PushSettings(allow_older=True), PRUNING, at(300))
    assert (first.pushed, wanted.pushed, wanted.version) == (True, True, 300)


def test_what_a_warm_start_needs_travels_with_its_model(
    tmp_path: Path, saved_model: Path, routing: Path
) -> None:
    models = {}
    for name in ("hard", "one_task"):
        models[name] = tmp_path / name
        shutil.copytree(saved_model, models[name])
        (models[name] / START).mkdir(parents=True)
        (models[name] / START / "weights.npz").write_bytes(name.encode())
        (models[name] / "assets.extra" / "other").write_bytes(b"stays behind")
    digest = model_digest(models["one_task"])
    assert digest == model_digest(saved_model)
    cargo = replace(
        cargo_of(models["hard"], routing),
        one_task=models["one_task"],
        manifest=manifest_of(models["hard"]).model_copy(update={"one_task_digest": digest}),
    )
    version = Path(push(cargo, tmp_path / "serving", SETTINGS, PRUNING, at(1000)).path or "")
    for name, model in (("hard", version), ("one_task", version / ONE_TASK_DIRECTORY)):
        assert (model / START / "weights.npz").read_bytes() == name.encode()
        assert not (model / "assets.extra" / "other").exists()
    plain = push(cargo_of(saved_model, routing), tmp_path / "plain", SETTINGS, PRUNING, at(1000))
    assert not (Path(plain.path or "") / START).exists()


def test_train_statistics_travel_with_the_version(
    tmp_path: Path, saved_model: Path, routing: Path
) -> None:
    statistics = tmp_path / "FeatureStats.pb"
    statistics.write_bytes(b"statistics")
    cargo = replace(cargo_of(saved_model, routing), statistics=statistics)
    record = push(cargo, tmp_path / "serving", SETTINGS, PRUNING, at(1000))
    assert (Path(record.path or "") / TRAIN_STATISTICS).read_bytes() == b"statistics"


def test_a_broken_routing_table_is_never_published(
    tmp_path: Path, saved_model: Path, routing: Path
) -> None:
    cargo = cargo_of(saved_model, routing)
    pq.write_table(pa.Table.from_pylist([ROUTE, ROUTE]), routing)
    with pytest.raises(InputError, match="more than once"):
        push(cargo, tmp_path / "serving", SETTINGS, PRUNING, at(1000))
    assert ServingFolder(tmp_path / "serving").versions() == []


def test_a_foreign_version_does_not_count_as_served(
    tmp_path: Path, saved_model: Path, routing: Path
) -> None:
    (tmp_path / "serving" / "5").mkdir(parents=True)
    record = push(cargo_of(saved_model, routing), tmp_path / "serving", SETTINGS, PRUNING, at(1000))
    assert record.pushed


def test_a_model_that_changed_after_evaluation_is_refused(
    tmp_path: Path, saved_model: Path, routing: Path
) -> None:
    cargo = cargo_of(saved_model, routing)
    changed = cargo.manifest.model_copy(update={"model_digest": "sha256:other"})
    stale = replace(cargo, manifest=changed)
    with pytest.raises(RuntimeError, match="wanted sha256:other"):
        push(stale, tmp_path / "serving", SETTINGS, PRUNING, at(1000))
    assert ServingFolder(tmp_path / "serving").versions() == []


def test_a_model_that_is_not_blessed_says_why(saved_model: Path) -> None:
    manifest = manifest_of(saved_model)
    verdict = manifest.verdict.model_copy(update={"blessed": False, "summary": "AUC on hard fell"})
    record = not_blessed(manifest.model_copy(update={"verdict": verdict}))
    assert (record.pushed, record.version, record.path) == (False, None, None)
    assert record.reason == "AUC on hard fell"


def test_a_model_without_raw_signature_is_refused(tmp_path: Path) -> None:
    tiny = Tiny(0.5)
    tf.saved_model.save(tiny, str(tmp_path), signatures={"serving_default": tiny.examples})
    with pytest.raises(ValueError, match="wanted one named 'raw'"):
        raw_features(tmp_path)
