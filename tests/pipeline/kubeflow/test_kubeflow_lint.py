"""Each rule on a spec that has its trap, and on one that is mended."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kubeflow_project import kubeflow_project

from pipeline.config import load_config
from schemas.errors import InputError

pytestmark = pytest.mark.tfx

Change = Callable[[Any], None]


def complaints(compiled: Any) -> list[str]:
    from pipeline.runners.kubeflow.lint import complaints

    return complaints(compiled)


def tasks(spec: Any) -> Any:
    return spec["components"]["comp-tfx-dag"]["dag"]["tasks"]


def container(spec: Any, step: str) -> Any:
    return spec["deploymentSpec"]["executors"][f"exec-{step}"]["container"]


def forget_defaults(spec: Any) -> None:
    for parameter in spec["root"]["inputDefinitions"]["parameters"].values():
        del parameter["defaultValue"]


def mend_defaults(spec: Any) -> None:
    from pipeline.runners.kubeflow.postprocess import set_defaults

    set_defaults(spec, dict.fromkeys(spec["root"]["inputDefinitions"]["parameters"], 1))


def forget_parameters(spec: Any) -> None:
    del spec["components"]["comp-tfx-dag"]["inputDefinitions"]
    del spec["root"]["dag"]["tasks"]["tfx-dag"]["inputs"]


def hand_down(spec: Any) -> None:
    from pipeline.runners.kubeflow.postprocess import hand_down_parameters

    hand_down_parameters(spec)


def strip_names(spec: Any) -> None:
    def plain(name: str) -> str:
        return name.removeprefix("comp-")

    spec["components"] = {plain(name): c for name, c in spec["components"].items()}
    for holder in (spec["root"], spec["components"]["tfx-dag"]):
        for task in holder["dag"]["tasks"].values():
            task["componentRef"]["name"] = plain(task["componentRef"]["name"])


def prefix(spec: Any) -> None:
    from pipeline.runners.kubeflow.postprocess import prefix_names

    prefix_names(spec)


def cache_ingest(spec: Any) -> None:
    tasks(spec)["ClickLogGen"]["cachingOptions"] = {"enableCache": True}


def drop_caching(spec: Any) -> None:
    from pipeline.runners.kubeflow.postprocess import drop_caching

    drop_caching(spec, ["ClickLogGen"])


def report_type(spec: Any) -> Any:
    return spec["components"]["comp-RunReport"]["outputDefinitions"]["artifacts"]["report"]


def plain_html(spec: Any) -> None:
    report_type(spec)["artifactType"] = {"instanceSchema": "title: system.HTML\ntype: object\n"}


def title(spec: Any) -> None:
    from pipeline.runners.kubeflow.postprocess import title_html

    title_html(spec)


MENDED: dict[str, tuple[Change, Change]] = {
    "parameter_defaults": (forget_defaults, mend_defaults),
    "parameters_arrive": (forget_parameters, hand_down),
    "component_names": (strip_names, prefix),
    "no_stale_cache": (cache_ingest, drop_caching),
    "shown_html": (plain_html, title),
}


@pytest.mark.parametrize("rule", MENDED)
def test_what_tfx_leaves_wrong_is_found_and_mended(kfp_pipeline: Any, rule: str) -> None:
    spoil, mend = MENDED[rule]
    assert complaints(kfp_pipeline) == []
    spoil(kfp_pipeline.spec)
    found = complaints(kfp_pipeline)
    assert found
    assert {line.split(":")[0] for line in found} == {rule}
    mend(kfp_pipeline.spec)
    assert complaints(kfp_pipeline) == []


def test_tfx_itself_leaves_all_of_that_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.runners.kubeflow import build, postprocess

    for name in (
        "set_defaults",
        "hand_down_parameters",
        "prefix_names",
        "drop_caching",
        "title_html",
    ):
        monkeypatch.setattr(postprocess, name, lambda *_: None)
    config = load_config(str(kubeflow_project(tmp_path).config))
    raw = build.compile_pipeline(config, "kfp", "")
    assert {line.split(":")[0] for line in complaints(raw)} >= set(MENDED)


BROKEN: dict[str, tuple[str, Change, str]] = {
    "older schema": (
        "schema_version",
        lambda spec: spec.update(schemaVersion="2.0.0"),
        "seen '2.0.0', wanted '2.1.0'",
    ),
    "null": (
        "no_nulls",
        lambda spec: container(spec, "Trainer").update(env=[{"name": "A", "value": None}]),
        "executors.exec-Trainer.container.env[0].value is null",
    ),
    "task name": (
        "task_names",
        lambda spec: tasks(spec).update({"late_step.2": deepcopy(tasks(spec)["LastBlessed"])}),
        "task 'late_step.2': wanted letters, digits and -",
    ),
    "lost executor": (
        "component_names",
        lambda spec: spec["deploymentSpec"]["executors"].pop("exec-Transform"),
        "component 'comp-Transform': no executor 'exec-Transform'",
    ),
    "lost component": (
        "component_names",
        lambda spec: tasks(spec)["Transform"]["componentRef"].update(name="comp-Other"),
        "task 'Transform': no component 'comp-Other'",
    ),
    "parameter without a value": (
        "parameters_arrive",
        lambda spec: tasks(spec)["TaskLabeler"]["inputs"]["parameters"].pop("alpha"),
        "task 'TaskLabeler': nothing for parameter 'alpha'",
    ),
    "producer that does not exist": (
        "producers_exist",
        lambda spec: tasks(spec)["Transform"]["inputs"]["parameters"].update(
            x={"taskOutputParameter": {"producerTask": "A_task", "outputParameterKey": "x"}}
        ),
        "task 'Transform': 'x' comes from 'A_task', which does not exist",
    ),
    "output that does not exist": (
        "producers_exist",
        lambda spec: tasks(spec)["Transform"]["inputs"]["artifacts"].update(
            x={"taskOutputArtifact": {"producerTask": "DataGate", "outputArtifactKey": "x"}}
        ),
        "'x': 'DataGate' has no output 'x'",
    ),
    "producer not waited for": (
        "producers_exist",
        lambda spec: tasks(spec)["Transform"]["dependentTasks"].remove("ContractSchema"),
        "comes from 'ContractSchema', which is not waited for",
    ),
    "final status of a step": (
        "exit_handlers",
        lambda spec: tasks(spec)["RunReport"]["inputs"]["parameters"].update(
            s={"taskFinalStatus": {"producerTask": "DataGate"}}
        ),
        "task 'RunReport': 's' is a final status; wanted in an exit handler",
    ),
    "exit handler with artifacts": (
        "exit_handlers",
        lambda spec: spec["root"]["dag"]["tasks"]["RunVerdict"]["inputs"].update(
            artifacts={"x": {"componentInputArtifact": "x"}}
        ),
        "task 'RunVerdict': an exit handler has artifacts",
    ),
    "resolver": (
        "no_resolvers",
        lambda spec: spec["deploymentSpec"]["executors"].update(
            {"exec-LastBlessed": {"resolver": {}}}
        ),
        "exec-LastBlessed: a Resolver",
    ),
    "driver hook": (
        "no_pre_cache_checks",
        lambda spec: container(spec, "ClickLogGen").update(lifecycle={"preCacheCheck": {}}),
        "exec-ClickLogGen: lifecycle.preCacheCheck is ignored",
    ),
    "TFX's entry point": (
        "entrypoints",
        lambda spec: container(spec, "Trainer").update(command=["python", "-m", "tfx.x"]),
        "exec-Trainer: command ['python', '-m', 'tfx.x']",
    ),
    "no image": (
        "entrypoints",
        lambda spec: container(spec, "Trainer").update(image=""),
        "exec-Trainer: no image",
    ),
    "no invocation": (
        "entrypoints",
        lambda spec: container(spec, "Trainer").update(args=[]),
        "exec-Trainer: the arguments lack {{$}}",
    ),
    "module file": (
        "no_built_wheels",
        lambda spec: tasks(spec)["Transform"]["inputs"]["parameters"].update(
            module_path={"runtimeValue": {"constant": "m@minio://b/w.whl"}}
        ),
        "task 'Transform': module_path is set",
    ),
    "resources lost": (
        "resources_kept",
        lambda spec: container(spec, "Trainer")["resources"].pop("accelerator"),
        "exec-Trainer: gpu is set, and accelerator is not there",
    ),
    "Vertex's name of a GPU": (
        "accelerators",
        lambda spec: container(spec, "Trainer")["resources"]["accelerator"].update(
            type="NVIDIA_TESLA_T4"
        ),
        "exec-Trainer: accelerator 'NVIDIA_TESLA_T4', wanted one such as 'nvidia.com/gpu'",
    ),
    "unknown type": (
        "known_types",
        lambda spec: report_type(spec).update(artifactType={"schemaTitle": "hardtower.Other"}),
        "comp-RunReport.report: no class is known for artifacts of type 'hardtower.Other'",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_spec_is_found_out(kfp_pipeline: Any, case: str) -> None:
    rule, spoil, text = BROKEN[case]
    spoil(kfp_pipeline.spec)
    assert any(line.startswith(f"{rule}: ") and text in line for line in complaints(kfp_pipeline))


def test_a_path_is_no_pipeline_root(kfp_pipeline: Any) -> None:
    broken = replace(kfp_pipeline, pipeline_root="/srv/artifacts")
    assert complaints(broken) == [
        "pipeline_root: seen '/srv/artifacts', wanted one that begins with "
        "minio:// or s3:// or gs://"
    ]


def test_a_push_folder_off_the_volume_is_found_out(kfp_pipeline: Any) -> None:
    executors = kfp_pipeline.platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    executors["exec-HardTowerPusher"]["pvcMount"][0]["mountPath"] = "/mnt/hard"
    [found] = complaints(kfp_pipeline)
    assert found.startswith(
        "lasting_folders: exec-HardTowerPusher: /mnt/hardtower/serving is on no"
    )


def test_every_complaint_is_listed_at_once(kfp_pipeline: Any) -> None:
    from pipeline.runners.kubeflow.lint import require_sound

    kfp_pipeline.spec["schemaVersion"] = "2.0.0"
    container(kfp_pipeline.spec, "Trainer")["image"] = ""
    with pytest.raises(InputError) as raised:
        require_sound(kfp_pipeline)
    assert "schema_version: " in str(raised.value)
    assert "entrypoints: exec-Trainer: no image" in str(raised.value)


def test_every_rule_has_a_case() -> None:
    from pipeline.runners.kubeflow.lint import RULES

    shown = {rule for rule, _, _ in BROKEN.values()} | set(MENDED)
    assert {rule.__name__ for rule in RULES} == shown | {"pipeline_root", "lasting_folders"}


def test_vertex_passes_every_rule(vertex_pipeline: Any) -> None:
    assert complaints(vertex_pipeline) == []
    root = replace(vertex_pipeline, pipeline_root="minio://bucket")
    assert [line.split(":")[0] for line in complaints(root)] == ["pipeline_root"]


def test_the_traps_of_tfx_own_components_are_found_out(tmp_path: Path) -> None:
    """A Resolver and a file-based ExampleGen, compiled by TFX as its guides have them."""
    from kfp.pipeline_spec import pipeline_spec_pb2 as pb
    from tfx import v1 as tfx

    from pipeline.kubeflow_settings import StepSettings
    from pipeline.runners.kubeflow.compiled import Compiled

    reader = tfx.components.CsvExampleGen(input_base=str(tmp_path))
    resources = pb.PipelineDeploymentConfig.PipelineContainerSpec.ResourceSpec(cpu_limit=1)
    reader.with_platform_config(resources)
    resolver = tfx.dsl.Resolver(
        strategy_class=tfx.dsl.experimental.LatestBlessedModelStrategy,
        model=tfx.dsl.Channel(type=tfx.types.standard_artifacts.Model),
        model_blessing=tfx.dsl.Channel(type=tfx.types.standard_artifacts.ModelBlessing),
    ).with_id("latest_model")
    experimental = tfx.orchestration.experimental
    runner = experimental.KubeflowV2DagRunner(
        config=experimental.KubeflowV2DagRunnerConfig(default_image="i")
    )
    pipeline = tfx.dsl.Pipeline("p", str(tmp_path), components=[reader, resolver])
    spec = runner.run(pipeline, write_out=False)["pipelineSpec"]
    steps = {"CsvExampleGen_executor": StepSettings(cpu=1)}
    found = complaints(Compiled("kfp", str(tmp_path), spec, steps=steps))
    assert {line.split(":")[0] for line in found} == {
        "schema_version",
        "pipeline_root",
        "task_names",
        "component_names",
        "producers_exist",
        "no_resolvers",
        "no_pre_cache_checks",
        "entrypoints",
        "resources_kept",
    }
