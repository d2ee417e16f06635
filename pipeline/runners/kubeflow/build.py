"""The pipeline as documents that Kubeflow Pipelines or Vertex AI Pipelines run."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message
from kfp.pipeline_spec import pipeline_spec_pb2 as pb
from tfx import v1 as tfx
from tfx.orchestration import pipeline as tfx_pipeline
from tfx.orchestration.data_types import RuntimeParameter

from common.runs.info import RunInfo
from common.runs.parameters import RUN_PARAMETERS
from common.runs.provenance import code_version
from components.run_verdict.component import RunVerdict
from pipeline.config import PipelineConfig
from pipeline.kubeflow_settings import KfpTarget, KubeflowSettings, StepSettings, VertexTarget
from pipeline.pipeline import BIGQUERY, Places, create_pipeline, default_parameters
from pipeline.runners.kubeflow import postprocess
from pipeline.runners.kubeflow.compiled import Compiled
from pipeline.runners.kubeflow.platform import platform_document
from pipeline.runners.kubeflow.targets import ENTRYPOINT, KFP, UNCACHED, Target
from schemas.errors import InputError

RUN_ID = "{{$.pipeline_job_uuid}}"
"""What both orchestrators replace by the run's id."""
EXIT_STEP = "RunVerdict"
LASTING = {
    "LastBlessed": ("serving_dir", "out_dir"),
    "DataGate": ("serving_dir",),
    "Trainer": ("out_dir",),
    "OneTaskTrainer": ("out_dir",),
    "ServedTrainer": ("out_dir",),
    "ServedOneTaskTrainer": ("out_dir",),
    "HardTowerPusher": ("serving_dir",),
    "RunReport": ("out_dir",),
    EXIT_STEP: ("out_dir", "serving_dir"),
}
"""Step -> places that it reads or writes outside of its artifacts."""

_Resources = pb.PipelineDeploymentConfig.PipelineContainerSpec.ResourceSpec


def compile_pipeline(config: PipelineConfig, target: Target, command: str) -> Compiled:
    """Compiles `create_pipeline` for one target.

    Args:
      command: command line that repeats the compilation, for the record.

    Raises:
      InputError: the config's `kubeflow` section is missing or does not fit the pipeline.
    """
    settings, place = _settings(config, target)
    run = RunInfo(
        run_id=RUN_ID,
        seed=config.training.seed,
        contract=config.data_contract.name,
        code_version=code_version(),
        command=command,
        config=config.model_dump(mode="json"),
    )
    rooted = config.model_copy(
        update={"input": config.input.model_copy(update={"root": place.data_root})}
    )
    defaults = default_parameters(config)
    parameters = {
        p.name: RuntimeParameter(p.name, p.kind, defaults[p.name])
        for p in RUN_PARAMETERS
        if p.name in defaults
    }
    places = Places(
        place.pipeline_root,
        place.serving_dir,
        place.out_dir,
        metadata=None,
        checkpoints=f"{place.out_dir}/checkpoints",
    )
    pipeline = create_pipeline(rooted, run, places, parameters)
    nodes = [node.id for node in pipeline.components]
    if settings.exit_handler:
        nodes.append(EXIT_STEP)
    steps = _steps(settings, nodes)
    spec = _tfx_spec(pipeline, settings, steps, target, _exit_handler(settings, place))

    postprocess.set_defaults(spec, defaults)
    postprocess.hand_down_parameters(spec)
    postprocess.prefix_names(spec)
    postprocess.drop_caching(spec, UNCACHED)
    postprocess.set_retries(spec, {name: step.retries for name, step in steps.items()})
    postprocess.title_html(spec)
    spec["defaultPipelineRoot"] = place.pipeline_root
    labels = {name: postprocess.EXECUTOR_PREFIX + name for name in steps}
    by_label = {labels[name]: step for name, step in steps.items()}
    return Compiled(
        target,
        place.pipeline_root,
        spec,
        platform=platform_document(by_label) if target == KFP else None,
        steps=by_label,
        lasting={
            labels[name]: tuple(getattr(place, key) for key in keys)
            for name, keys in LASTING.items()
            if name in labels
        },
    )


def _settings(
    config: PipelineConfig, target: Target
) -> tuple[KubeflowSettings, KfpTarget | VertexTarget]:
    settings = config.kubeflow
    if settings is None:
        raise InputError("kubeflow: missing; wanted a section with `image` and the target's places")
    place = settings.kfp if target == KFP else settings.vertex
    if place is None:
        raise InputError(
            f"kubeflow.{target}: missing; wanted pipeline_root, data_root, serving_dir and out_dir"
        )
    if config.data_contract.input.format == BIGQUERY:
        raise InputError(
            "input.format: seen 'bigquery', whose query names its window when the pipeline is "
            "compiled; wanted files, whose window a run can choose"
        )
    return settings, place


def _steps(settings: KubeflowSettings, nodes: list[str]) -> dict[str, StepSettings]:
    if unknown := sorted(set(settings.steps) - set(nodes)):
        raise InputError(
            f"kubeflow.steps: no step {unknown[0]!r} in this pipeline; it has: {', '.join(nodes)}"
        )
    return {name: settings.step(name) for name in nodes}


def _exit_handler(settings: KubeflowSettings, place: KfpTarget | VertexTarget) -> RunVerdict | None:
    if not settings.exit_handler:
        return None
    return RunVerdict(
        final_status=tfx.orchestration.experimental.FinalStatusStr() if place.final_status else "",
        run_id=RUN_ID,
        out_dir=place.out_dir,
        serving_dir=place.serving_dir,
    )


def _tfx_spec(
    pipeline: tfx_pipeline.Pipeline,
    settings: KubeflowSettings,
    steps: dict[str, StepSettings],
    target: Target,
    exit_handler: RunVerdict | None,
) -> dict[str, Any]:
    images = {name: step.image for name, step in steps.items() if step.image}
    runner = tfx.orchestration.experimental.KubeflowV2DagRunner(
        config=tfx.orchestration.experimental.KubeflowV2DagRunnerConfig(
            default_image={"default_image_path": settings.image, **images},
            default_commands=[*ENTRYPOINT, "--target", target],
            use_pipeline_spec_2_1=True,
        )
    )
    for node in pipeline.components:
        node.with_platform_config(_resources(steps[node.id], target))
    if exit_handler is not None:
        runner.set_exit_handler(exit_handler)
        exit_handler.with_platform_config(_resources(steps[EXIT_STEP], target))
    spec: dict[str, Any] = runner.run(pipeline, write_out=False)["pipelineSpec"]
    return spec


def _resources(step: StepSettings, target: Target) -> Message:
    given = {
        "cpu_limit": step.cpu,
        "cpu_request": step.cpu_request,
        "memory_limit": step.memory_gb,
        "memory_request": step.memory_request_gb,
    }
    resources = _Resources(**{name: value for name, value in given.items() if value is not None})
    if step.gpu is not None:
        kind = step.gpu.resource if target == KFP else step.gpu.vertex_type
        resources.accelerator.type = kind
        resources.accelerator.count = step.gpu.count
    return resources
