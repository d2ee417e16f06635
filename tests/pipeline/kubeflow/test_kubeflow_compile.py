"""The compiled pipeline, as Kubeflow's and Vertex AI's own libraries read it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from kubeflow_project import KUBEFLOW, kubeflow_project
from small_log import CONTRACT, Project

from pipeline.cli import main
from pipeline.config import load_config
from schemas.errors import InputError

pytestmark = pytest.mark.tfx

STEPS = {
    "ClickLogGen",
    "TaskLabeler",
    "ContractSchema",
    "StatisticsGen",
    "ExampleValidator",
    "DataGate",
    "Transform",
    "Trainer",
    "OneTaskTrainer",
    "LastBlessed",
    "HardTowerEvaluator",
    "ServedTransform",
    "ServedTrainer",
    "ServedOneTaskTrainer",
    "HardTowerPusher",
    "RunReport",
}


def container(pipeline: Any, step: str) -> dict[str, Any]:
    found: dict[str, Any] = pipeline.spec["deploymentSpec"]["executors"][f"exec-{step}"]
    return found["container"]


def test_kfp_loads_the_file_with_its_parameters_and_defaults(kfp_file: Path) -> None:
    from kfp import components

    loaded = components.load_component_from_file(str(kfp_file))
    inputs = loaded.component_spec.inputs
    assert {name: given.default for name, given in inputs.items()} == {
        "as_of": "",
        "window_days": 50,
        "alpha": 0.05,
        "half_life_days": 28.0,
        "history_days": 28,
        "weight_hard": 0.5,
        "weight_soft": 0.5,
        "epochs": 2,
        "batch_size": 512,
        "learning_rate": 0.001,
        "seed": 1,
    }
    assert all(given.optional for given in inputs.values())
    assert set(loaded.pipeline_spec.components["comp-tfx-dag"].dag.tasks) == STEPS
    assert set(loaded.pipeline_spec.root.dag.tasks) == {"tfx-dag", "RunVerdict"}


def test_each_step_gets_its_own_image_and_resources(kfp_pipeline: Any) -> None:
    trainer, other = container(kfp_pipeline, "Trainer"), container(kfp_pipeline, "RunVerdict")
    assert trainer["image"] == "localhost/hardtower:gpu"
    assert trainer["resources"] == {
        "cpuLimit": 2.0,
        "memoryLimit": 16.0,
        "accelerator": {"type": "nvidia.com/gpu", "count": "2"},
    }
    assert other["image"] == "localhost/hardtower:test"
    tasks = kfp_pipeline.spec["components"]["comp-tfx-dag"]["dag"]["tasks"]
    assert tasks["Trainer"]["retryPolicy"] == {"maxRetryCount": 2}
    assert "retryPolicy" not in tasks["Transform"]
    assert other["resources"] == {"cpuLimit": 2.0, "memoryLimit": 4.0}


def test_the_second_document_is_kubernetes_own(kfp_file: Path) -> None:
    from google.protobuf import json_format
    from kfp.kubernetes.kubernetes_executor_config_pb2 import KubernetesExecutorConfig

    spec, platform = yaml.safe_load_all(kfp_file.read_text())
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert set(executors) == set(spec["deploymentSpec"]["executors"])
    trainer = json_format.ParseDict(executors["exec-Trainer"], KubernetesExecutorConfig())
    assert [(m.constant, m.mount_path) for m in trainer.pvc_mount] == [
        ("hardtower", "/mnt/hardtower")
    ]
    assert dict(trainer.node_selector.labels) == {"pool": "gpu"}
    assert [(t.key, t.operator, t.effect) for t in trainer.tolerations] == [
        ("gpu", "Exists", "NoSchedule")
    ]
    [secret] = trainer.secret_as_env
    assert secret.secret_name == "tracking"
    assert [(k.secret_key, k.env_var) for k in secret.key_to_env] == [("token", "TRACKING_TOKEN")]
    assert not executors["exec-RunReport"].get("nodeSelector")


def test_vertex_loads_the_file_offline(vertex_pipeline: Any, tmp_path: Path) -> None:
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import aiplatform

    from pipeline.runners.kubeflow.write import write_documents

    path = tmp_path / "vertex.yaml"
    write_documents(vertex_pipeline, path)
    assert len(list(yaml.safe_load_all(path.read_text()))) == 1

    def job(**parameters: Any) -> aiplatform.PipelineJob:
        return aiplatform.PipelineJob(
            display_name="small",
            template_path=str(path),
            project="p",
            location="europe-west1",
            credentials=AnonymousCredentials(),
            parameter_values=parameters,
        )

    loaded = job(alpha=0.02, as_of="2026-03-01")
    runtime = loaded.to_dict()["runtimeConfig"]
    assert runtime["gcsOutputDirectory"] == "gs://bucket/root"
    assert runtime["parameterValues"]["alpha"] == 0.02
    assert runtime["parameterValues"]["as_of"] == "2026-03-01"
    with pytest.raises(ValueError, match="beta"):
        job(beta=1)
    assert container(vertex_pipeline, "Trainer")["resources"]["accelerator"] == {
        "type": "NVIDIA_TESLA_T4",
        "count": "2",
    }


def test_the_same_steps_and_settings_on_both_targets(
    kfp_pipeline: Any, vertex_pipeline: Any
) -> None:
    kfp, vertex = (
        p.spec["components"]["comp-tfx-dag"]["dag"]["tasks"]
        for p in (kfp_pipeline, vertex_pipeline)
    )
    assert set(kfp) == set(vertex) == STEPS
    assert kfp["Transform"] == vertex["Transform"]
    for task in (kfp, vertex):
        config = task["Trainer"]["inputs"]["parameters"].pop("custom_config")
        assert "/hardtower/out/checkpoints" in str(config) or "/gcs/" in str(config)
    assert kfp["Trainer"] == vertex["Trainer"]


def test_ingest_settles_the_as_of_date(kfp_pipeline: Any) -> None:
    """The labeller goes by what it recorded; the others note it or take it from its report."""
    tasks = kfp_pipeline.spec["components"]["comp-tfx-dag"]["dag"]["tasks"]
    asked = {
        name: task["inputs"]["parameters"]["as_of"]
        for name, task in tasks.items()
        if "as_of" in task.get("inputs", {}).get("parameters", {})
    }
    assert asked.pop("ClickLogGen") == {"componentInputParameter": "as_of"}
    assert asked.pop("TaskLabeler") == {"runtimeValue": {"constant": ""}}
    assert set(asked) == {"LastBlessed", "HardTowerPusher", "RunReport"}


def test_a_setting_that_is_no_number_is_no_parameter(tmp_path: Path) -> None:
    from pipeline.pipeline import default_parameters

    project = kubeflow_project(tmp_path, {"labelling": {"alpha": 1.0e-3, "half_life_days": 3}})
    defaults = default_parameters(load_config(str(project.config)))
    assert (defaults["alpha"], defaults["half_life_days"]) == (0.001, 3.0)
    assert type(defaults["half_life_days"]) is float


def compile_in(project: Project, out: Path, *arguments: str) -> Any:
    return CliRunner().invoke(
        main, ["compile", "--config", str(project.config), "--out", str(out), *arguments]
    )


def test_the_command_writes_what_the_linter_accepts(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "pipeline.yaml"
    done = compile_in(kubeflow_project(tmp_path), out, "--target", "kfp")
    assert done.exit_code == 0, done.output
    assert "small for kfp, 17 steps" in done.output
    spec, _ = yaml.safe_load_all(out.read_text())
    assert spec["schemaVersion"] == "2.1.0"
    assert [p.name for p in out.parent.iterdir()] == ["pipeline.yaml"]


def test_a_spec_that_would_not_run_is_not_written(tmp_path: Path) -> None:
    out = tmp_path / "pipeline.yaml"
    out.write_text("the one before")
    changes = ("--set", "kubeflow.defaults.volumes=[]")
    done = compile_in(kubeflow_project(tmp_path), out, *changes)
    assert done.exit_code == 2
    for folder in ("/mnt/hardtower/serving", "/mnt/hardtower/out"):
        assert f"lasting_folders: exec-RunVerdict: {folder} is on no volume" in done.output
    assert out.read_text() == "the one before"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kubeflow": None}, r"^kubeflow: missing"),
        ({"kubeflow": {"image": "i"}}, r"^kubeflow\.kfp: missing"),
        (
            {"kubeflow": KUBEFLOW | {"steps": {"Trainr": {"cpu": 1}}}},
            r"kubeflow\.steps: no step 'Trainr'.*it has: ClickLogGen",
        ),
    ],
)
def test_a_section_that_does_not_fit_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    from pipeline.runners.kubeflow.build import compile_pipeline

    config = load_config(str(kubeflow_project(tmp_path, changes).config))
    with pytest.raises(InputError, match=message):
        compile_pipeline(config, "kfp", "")


def test_a_query_of_a_fixed_window_is_refused(tmp_path: Path) -> None:
    from pipeline.runners.kubeflow.build import compile_pipeline

    project = Project(tmp_path)
    query = "SELECT * FROM clicks WHERE day >= '{start}' AND day < '{end}'"
    contract = CONTRACT | {"input": {"format": "bigquery", "query": query}}
    project.write({"kubeflow": KUBEFLOW}, contract)
    with pytest.raises(InputError, match=r"input\.format: seen 'bigquery'"):
        compile_pipeline(load_config(str(project.config)), "kfp", "")


def test_without_an_exit_handler_the_steps_stand_in_the_root(tmp_path: Path) -> None:
    from pipeline.runners.kubeflow.build import compile_pipeline
    from pipeline.runners.kubeflow.lint import complaints

    project = kubeflow_project(tmp_path, {"kubeflow": KUBEFLOW | {"exit_handler": False}})
    compiled = compile_pipeline(load_config(str(project.config)), "kfp", "")
    assert set(compiled.spec["root"]["dag"]["tasks"]) == STEPS
    assert complaints(compiled) == []
