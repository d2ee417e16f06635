"""The TFX face of the pusher, on SavedModels with and without a soft tower."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

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
from common.versions.reference import TRAIN_STATISTICS
from components.pusher.component import HardTowerPusher
from components.pusher.executor import Executor
from components.pusher.record import PushRecord
from components.pusher.settings import PushSettings
from components.task_labeler.artifacts import TaskAssignments
from components.trainer.export.pruning import PruningError
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
        examples.split_names = encode_split_names(["train", "eval"])
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
            },
            {"pushed": [pushed]},
            {
                "serving_dir": serving or str(self.serving),
                "settings": PushSettings(warmup_requests=1).model_dump_json(),
                "run": RunInfo(run_id="r1", seed=3).model_dump_json(),
            },
        )
        return pushed

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
