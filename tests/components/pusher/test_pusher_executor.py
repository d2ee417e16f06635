"""The TFX face of the pusher, on SavedModels with and without a soft tower."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from tfx import types
from tfx.types import standard_artifacts
from tfx.types.artifact_utils import encode_split_names

from common.routing.serving_file import serving_bytes, serving_table
from common.routing.table import RoutingTable
from common.runs.info import RunInfo
from common.versions.digest import model_digest
from common.versions.folder import ServingFolder
from common.versions.manifest import Manifest
from common.versions.reference import JUDGED_FIT, ONE_TASK_DIRECTORY, TRAIN_STATISTICS
from components.pusher.component import HardTowerPusher
from components.pusher.executor import Executor
from components.pusher.record import PushRecord
from components.pusher.settings import PushSettings
from components.task_labeler.artifacts import TaskAssignments
from components.trainer.export.pruning import PruningError
from schemas.contract import Contract
from schemas.errors import InputError

SLOPES = {"hard": 0.5, "soft": -0.25}
ONE_TASK_SLOPE = 1.5
PRICES = (0.0, 1.0, 2.0)
EXAMPLES_SPEC = [tf.TensorSpec([None], tf.string, name="examples")]


class Graph(tf.Module):
    """sigmoid(slope x price) for each of the tasks."""

    def __init__(self, slopes: dict[str, float]) -> None:
        super().__init__()
        self.slopes = {
            task: tf.Variable(slope, name=f"{task}/slope") for task, slope in slopes.items()
        }

    def predict(self, price: tf.Tensor, task: str) -> tf.Tensor:
        return tf.sigmoid(price * self.slopes[task])


def prices(examples: tf.Tensor) -> tf.Tensor:
    spec = {"price": tf.io.FixedLenFeature([], tf.float32, 0.0)}
    return tf.io.parse_example(examples, spec)["price"]


def save_serving(path: Path, slopes: dict[str, float]) -> None:
    graph = Graph(slopes)

    @tf.function(input_signature=EXAMPLES_SPEC)
    def on_examples(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"probability": graph.predict(prices(examples), "hard")}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="price")])
    def on_raw(price: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"probability": graph.predict(price, "hard")}

    graph.on_examples, graph.on_raw = on_examples, on_raw
    tf.saved_model.save(graph, str(path), {"serving_default": on_examples, "raw": on_raw})


def save_full(path: Path, slopes: dict[str, float]) -> None:
    graph = Graph(slopes)

    @tf.function(input_signature=EXAMPLES_SPEC)
    def on_examples(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return {task: graph.predict(prices(examples), task) for task in slopes}

    graph.on_examples = on_examples
    tf.saved_model.save(graph, str(path), {"serving_default": on_examples})


def example(price: float) -> bytes:
    record = tf.train.Example()
    record.features.feature["price"].float_list.value.append(price)
    record.features.feature["converted"].int64_list.value.append(1)
    return record.SerializeToString()


class World:
    """Artifacts of a run on disk, and a call of the executor on them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.serving = root / "serving"
        for name in ("model", "blessing", "evaluation", "assignments", "statistics"):
            (root / name).mkdir()
        save_serving(root / "model" / "Format-Serving", {"hard": SLOPES["hard"]})
        save_serving(root / "one_task" / "Format-Serving", {"hard": ONE_TASK_SLOPE})
        save_full(root / "model" / "Format-Full", SLOPES)
        split = root / "examples" / "Split-eval"
        split.mkdir(parents=True)
        shard = split / "data_tfrecord-00000-of-00001.gz"
        with tf.io.TFRecordWriter(str(shard), tf.io.TFRecordOptions("GZIP")) as writer:
            for price in PRICES:
                writer.write(example(price))
        statistics = root / "statistics" / "Split-train"
        statistics.mkdir()
        (statistics / "FeatureStats.pb").write_bytes(b"statistics")
        settings = {
            "assignment_id": "feed",
            "alpha": 0.01,
            "online_alpha": 0.009,
            "setup": ["shop"],
            "unknown_setups": [{"category": None, "advertiser_type": None, "task": "soft"}],
        }
        self.write("assignments/settings.json", settings)
        self.write("evaluation/metrics.json", [])
        routing = pa.table(
            {
                "setup_id": ["a"],
                "task": ["hard"],
                "reason": ["history"],
                "historical_cvr": [0.001],
            }
        )
        pq.write_table(routing, root / "assignments" / "routing.parquet")
        data = serving_bytes(serving_table(routing, "feed"))
        (root / "assignments" / "routing.arrow").write_bytes(data)

    def write(self, name: str, value: Any) -> None:
        (self.root / name).write_text(json.dumps(value))

    def artifact(self, kind: type[types.Artifact], name: str) -> types.Artifact:
        artifact = kind()
        artifact.uri = str(self.root / name)
        return artifact

    def push(self, blessed: bool = True, serving: str | None = None) -> types.Artifact:
        """Runs the executor; its output artifact."""
        summary = "blessed" if blessed else "not blessed: rig fell"
        verdict = {"blessed": blessed, "summary": summary, "baseline": None}
        self.write("evaluation/verdict.json", verdict)
        blessing = self.artifact(standard_artifacts.ModelBlessing, "blessing")
        blessing.set_int_custom_property("blessed", int(blessed))
        examples = self.artifact(standard_artifacts.Examples, "examples")
        examples.split_names = encode_split_names(["train", "eval", "recent"])
        statistics = self.artifact(standard_artifacts.ExampleStatistics, "statistics")
        statistics.split_names = encode_split_names(["train"])
        pushed = self.artifact(standard_artifacts.PushedModel, "pushed")
        (self.root / "pushed").mkdir(exist_ok=True)
        Executor().Do(
            {
                "model": [self.artifact(standard_artifacts.Model, "model")],
                "blessing": [blessing],
                "evaluation": [self.artifact(standard_artifacts.ModelEvaluation, "evaluation")],
                "task_assignments": [self.artifact(TaskAssignments, "assignments")],
                "examples": [examples],
                "statistics": [statistics],
                "one_task": [self.artifact(standard_artifacts.Model, "one_task")],
                **self.inputs(),
            },
            {"pushed": [pushed]},
            {
                "serving_dir": serving or str(self.serving),
                "settings": PushSettings(warmup_requests=1).model_dump_json(),
                "contract": CONTRACT.model_dump_json(),
                "run": RunInfo(run_id="r1", seed=3).model_dump_json(),
            },
        )
        return pushed

    def inputs(self) -> dict[str, list[types.Artifact]]:
        return {}

    def record(self) -> PushRecord:
        return PushRecord.model_validate_json((self.root / "pushed" / "push.json").read_text())

    def manifest(self) -> Manifest:
        return Manifest.model_validate_json((self.root / "pushed" / "manifest.json").read_text())


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_blessed_model_is_proved_and_pushed(world: World) -> None:
    pushed = world.push()
    record, manifest = world.record(), world.manifest()
    (version,) = ServingFolder(world.serving).versions()
    path = world.serving / str(version)
    assert (record.pushed, record.version, record.path) == (True, version, str(path))
    assert pushed.get_int_custom_property("pushed") == 1
    assert pushed.get_string_custom_property("pushed_version") == str(version)
    assert pushed.get_string_custom_property("pushed_destination") == str(path)
    assert record.pruning is not None
    assert record.pruning.soft_variables == ("soft/slope",)
    assert (record.pruning.serving.parameters, record.pruning.full.parameters) == (1, 2)
    assert record.pruning.examples == len(PRICES)
    assert (manifest.version, manifest.run_id, manifest.alpha) == (version, "r1", 0.01)
    assert {p.name for p in (path / "assets.extra").iterdir()} == {
        "manifest.json",
        "one_task",
        "routing.arrow",
        "routing.json",
        "routing.parquet",
        "tf_serving_warmup_requests",
        "train_statistics.pb",
    }
    assert (path / TRAIN_STATISTICS).read_bytes() == b"statistics"
    assert RoutingTable.load(path).route(["a", "b"]).task.tolist() == ["hard", "soft"]
    model = tf.saved_model.load(str(path))
    answer = model.signatures["raw"](price=tf.constant(PRICES))["probability"]
    tf.debugging.assert_near(answer, tf.sigmoid(tf.constant(PRICES) * SLOPES["hard"]))
    other = tf.saved_model.load(str(world.serving / "one_task" / str(version)))
    answer = other.signatures["raw"](price=tf.constant(PRICES))["probability"]
    tf.debugging.assert_near(answer, tf.sigmoid(tf.constant(PRICES) * ONE_TASK_SLOPE))
    one_task = world.root / "one_task" / "Format-Serving"
    assert manifest.one_task_digest == model_digest(one_task)


def test_a_model_that_is_not_blessed_stays(world: World) -> None:
    pushed = world.push(blessed=False)
    record = world.record()
    assert (record.pushed, record.version) == (False, None)
    assert record.reason == "not blessed: rig fell"
    assert pushed.get_int_custom_property("pushed") == 0
    assert not pushed.has_custom_property("pushed_version")
    assert world.manifest().version is None
    assert not world.serving.exists()


def test_the_same_model_is_not_pushed_twice(world: World) -> None:
    world.push()
    first = world.record()
    pushed = world.push()
    assert pushed.get_int_custom_property("pushed") == 0
    assert pushed.get_string_custom_property("pushed_version") == str(first.version)
    assert world.record().reason == f"version {first.version} already serves this model"
    assert ServingFolder(world.serving).versions() == [first.version]


@pytest.mark.parametrize(
    "slopes", [{"hard": 0.6}, SLOPES], ids=["other predictions", "the soft tower is still there"]
)
def test_a_graph_that_fails_the_proof_is_not_published(
    world: World, slopes: dict[str, float]
) -> None:
    save_serving(world.root / "model" / "Format-Serving", slopes)
    with pytest.raises(PruningError):
        world.push()
    assert not world.serving.exists()


SPLITS = {
    "train": ("2024-01-02", "2024-01-20"),
    "calibration": ("2024-01-21", "2024-01-23"),
    "eval": ("2024-01-24", "2024-01-30"),
    "recent": ("2024-01-31", "2024-02-04"),
}
CONTRACT = Contract.model_validate(
    {
        "name": "priced",
        "description": "one price",
        "input": {"format": "tfrecord", "pattern": "*"},
        "attribution_window_days": 5,
        "roles": {
            "timestamp": "t",
            "label": "converted",
            "conversion_timestamp": "ct",
            "setup": ["shop"],
        },
        "features": {"of_setup": False, "numeric": [{"name": "price"}]},
    }
)
SERVED_SLOPES = {"hard": 0.4, "soft": -0.3}


class RefitWorld(World):
    """The same with a refit, and 600 clicks after the eval period that convert as it says."""

    def __init__(self, root: Path, rate: float = 1.0) -> None:
        super().__init__(root)
        save_serving(root / "served" / "Format-Serving", {"hard": SERVED_SLOPES["hard"]})
        save_serving(root / "served_one_task" / "Format-Serving", {"hard": 1.2})
        save_full(root / "served" / "Format-Full", SERVED_SLOPES)
        settings = json.loads((root / "assignments" / "settings.json").read_text())
        settings |= {"as_of": "2024-02-05", "served_calibration_days": 3}
        self.write("assignments/settings.json", settings)
        splits = {
            name: {
                "first_day": first,
                "last_day": last,
                "newest_click_day": last,
                "examples": 600,
                "positives": 90,
                "judged_positives": 80,
                "hard_examples": 300,
                "hard_positives": 9,
                "hard_judged_positives": 7,
            }
            for name, (first, last) in SPLITS.items()
        }
        self.write("assignments/splits.json", splits)
        recent = root / "examples" / "Split-recent"
        recent.mkdir()
        rng = np.random.default_rng(7)
        options = tf.io.TFRecordOptions("GZIP")
        with tf.io.TFRecordWriter(str(recent / "data-0.gz"), options) as writer:
            for i in range(600):
                price, hard = float(rng.normal(-2, 1)), i % 2 == 0
                slope = SERVED_SLOPES["hard"] if hard else 1.2
                p = 1 / (1 + np.exp(-slope * price))
                writer.write(new_click(price, hard, i % 20, rng.random() < p * rate * 0.8))
        day = (date(2024, 2, 1) - date(1970, 1, 1)).days
        rows = {"setup_id": [f"s{i}" for i in range(20)], "day": [day] * 20, "clicks": [30] * 20}
        pq.write_table(pa.table(rows), root / "assignments" / "history.parquet")

    def inputs(self) -> dict[str, list[types.Artifact]]:
        return {
            "served_model": [self.artifact(standard_artifacts.Model, "served")],
            "served_one_task": [self.artifact(standard_artifacts.Model, "served_one_task")],
        }


def new_click(price: float, hard: bool, setup: int, converted: bool) -> bytes:
    record = tf.train.Example()
    feature = record.features.feature
    feature["price"].float_list.value.append(price)
    feature["converted"].int64_list.value.append(int(converted))
    feature["completeness"].float_list.value.append(0.8)
    feature["task"].bytes_list.value.append(b"hard" if hard else b"soft")
    feature["setup_id"].bytes_list.value.append(f"s{setup}".encode())
    return record.SerializeToString()


def test_a_refit_is_pushed_with_the_judged_fit_beside_it(tmp_path: Path) -> None:
    world = RefitWorld(tmp_path)
    world.push()
    record, manifest = world.record(), world.manifest()
    assert record.pushed, record.reason
    assert record.fit == "refit"
    checks = {check.name: check for check in record.checks}
    assert list(checks) == ["level_hard", "level_all", "distance", "knowledge", "pruning"]
    assert all(check.passed for check in record.checks)
    # Mean of |log-odds|: hard slopes 0.5 and 0.4, soft 1.5 and 1.2, mean |price| about 2.
    assert checks["distance"].figures["log_odds"] == pytest.approx(2 * 0.2, rel=0.1)
    version = world.serving / str(record.version)
    served, judged = tmp_path / "served" / "Format-Serving", tmp_path / "model" / "Format-Serving"
    assert manifest.model_digest == model_digest(version) == model_digest(served)
    for place, slope in ((version, 0.4), (version / JUDGED_FIT, SLOPES["hard"])):
        answer = tf.saved_model.load(str(place)).signatures["raw"](price=tf.constant(PRICES))
        tf.debugging.assert_near(answer["probability"], tf.sigmoid(tf.constant(PRICES) * slope))
    other = version / JUDGED_FIT / ONE_TASK_DIRECTORY
    assert model_digest(other) == model_digest(tmp_path / "one_task" / "Format-Serving")
    fits = manifest.judged_fit, manifest.served_fit
    assert fits[0] is not None
    assert fits[1] is not None
    assert [fit.newest_trained_day for fit in fits] == ["2024-01-20", "2024-02-04"]
    assert [fit.age("2024-02-05") for fit in fits] == [16, 1]
    assert [fit.labels_as_of for fit in fits] == ["2024-01-24", "2024-02-05"]
    assert [fit.calibration_first_day for fit in fits] == ["2024-01-21", "2024-02-02"]
    assert [(fit.examples, fit.hard_positives) for fit in fits] == [(600, 7), (2400, 36)]
    assert [fit.model_digest for fit in fits] == [model_digest(judged), model_digest(served)]


def test_a_refit_of_another_level_is_not_pushed(tmp_path: Path) -> None:
    """Half as many conversions as the refit expects."""
    world = RefitWorld(tmp_path, rate=0.5)
    pushed = world.push()
    record = world.record()
    assert (record.pushed, record.version) == (False, None)
    assert pushed.get_int_custom_property("pushed") == 0
    assert record.reason.startswith("the refit failed level_hard, level_all: nothing was pushed")
    assert {c.name for c in record.checks if c.passed} == {"distance", "knowledge", "pruning"}
    assert not world.serving.exists()
    assert world.manifest().served_fit is None
    assert world.manifest().judged_fit is not None


def test_a_refit_that_still_has_its_soft_tower_is_not_pushed(tmp_path: Path) -> None:
    world = RefitWorld(tmp_path)
    save_serving(world.root / "served" / "Format-Serving", SERVED_SLOPES)
    world.push()
    assert world.record().reason.startswith("the refit failed pruning: nothing was pushed")
    assert not world.serving.exists()


def test_nothing_is_refitted_without_a_blessing(tmp_path: Path) -> None:
    """The stages before have left their marker in place of models."""
    world = RefitWorld(tmp_path)
    for name in ("served", "served_one_task"):
        shutil.rmtree(world.root / name)
        (world.root / name).mkdir()
    world.push(blessed=False)
    assert world.record().reason == "not blessed: rig fell"
    judged = world.root / "model" / "Format-Serving"
    assert world.manifest().model_digest == model_digest(judged)
    assert world.manifest().served_fit is None


def test_a_bucket_is_no_serving_folder(world: World) -> None:
    with pytest.raises(InputError, match="serving_dir: 'gs://bucket/serving'"):
        world.push(serving="gs://bucket/serving")


def test_the_component_passes_its_settings_on() -> None:
    channels = {
        "model": standard_artifacts.Model,
        "blessing": standard_artifacts.ModelBlessing,
        "evaluation": standard_artifacts.ModelEvaluation,
        "task_assignments": TaskAssignments,
        "examples": standard_artifacts.Examples,
        "statistics": standard_artifacts.ExampleStatistics,
        "one_task": standard_artifacts.Model,
    }
    component = HardTowerPusher(
        **{name: types.Channel(type=kind) for name, kind in channels.items()},
        serving_dir="/srv/serving",
        settings=PushSettings(keep=9),
        run=RunInfo(run_id="r1"),
    )
    assert set(component.inputs) == set(channels)
    assert component.outputs["pushed"].type is standard_artifacts.PushedModel
    assert PushSettings.model_validate_json(component.exec_properties["settings"]).keep == 9
    run = RunInfo.of(component.exec_properties["run"], component.exec_properties)
    assert run.run_id == "r1"
    assert component.exec_properties["serving_dir"] == "/srv/serving"
