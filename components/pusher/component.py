"""The TFX face of the pusher."""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.orchestration.data_types import RuntimeParameter
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ExecutionParameter

from common.runs.info import RUN_ID, RunInfo
from common.runs.parameters import RUN_PARAMETERS
from common.runs.properties import ParameterValues, chosen, execution_parameters
from components.pusher.executor import Executor
from components.pusher.settings import PushSettings
from components.task_labeler.artifacts import TaskAssignments
from schemas.contract import Contract


class HardTowerPusherSpec(types.ComponentSpec):
    """Inputs, outputs and execution properties of the pusher."""

    INPUTS = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        "blessing": ChannelParameter(type=standard_artifacts.ModelBlessing),
        "evaluation": ChannelParameter(type=standard_artifacts.ModelEvaluation),
        "task_assignments": ChannelParameter(type=TaskAssignments),
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "statistics": ChannelParameter(type=standard_artifacts.ExampleStatistics, optional=True),
        "one_task": ChannelParameter(type=standard_artifacts.Model, optional=True),
        "served_model": ChannelParameter(type=standard_artifacts.Model, optional=True),
        "served_one_task": ChannelParameter(type=standard_artifacts.Model, optional=True),
    }
    OUTPUTS = {"pushed": ChannelParameter(type=standard_artifacts.PushedModel)}
    PARAMETERS = {
        "serving_dir": ExecutionParameter(type=str),
        "contract": ExecutionParameter(type=str),
        "settings": ExecutionParameter(type=str),
        "run": ExecutionParameter(type=str),
        RUN_ID: ExecutionParameter(type=str),
        **execution_parameters(RUN_PARAMETERS),
    }


class HardTowerPusher(base_component.BaseComponent):
    """Publishes a blessed hard-tower graph, its routing table and the model of all other
    candidates as one new serving version: of the judged fit, or of the refit once that has passed
    its checks.

    Output `pushed`: a `PushedModel` with custom properties `pushed` (0 or 1), `pushed_version` and
    `pushed_destination`, holding `push.json` (`PushRecord`) and `manifest.json` (`Manifest`).
    """

    SPEC_CLASS = HardTowerPusherSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        model: types.BaseChannel,
        blessing: types.BaseChannel,
        evaluation: types.BaseChannel,
        task_assignments: types.BaseChannel,
        examples: types.BaseChannel,
        serving_dir: str | RuntimeParameter,
        settings: PushSettings,
        run: RunInfo,
        statistics: types.BaseChannel | None = None,
        one_task: types.BaseChannel | None = None,
        served_model: types.BaseChannel | None = None,
        served_one_task: types.BaseChannel | None = None,
        contract: Contract | None = None,
        parameters: ParameterValues | None = None,
    ) -> None:
        """
        Args:
          model: `Model` with `Format-Serving` and `Format-Full`.
          blessing: `ModelBlessing` of that model.
          evaluation: `ModelEvaluation` with `metrics.json` and `verdict.json`.
          task_assignments: `TaskAssignments` that the model was trained under.
          examples: labelled `Examples` with an `eval` split, for a refit a `recent` one too.
          serving_dir: folder that TF Serving watches.
          settings: versions kept, warm-up, and what a refit must show.
          run: provenance, written into the manifest.
          statistics: `ExampleStatistics` with a `train` split, kept as the reference of drift.
          one_task: `Model` of the one-task network with `Format-Serving`, for candidates that are
            not hard.
          served_model, served_one_task: `Model`s of the refit, pushed in place of the judged fit's
            when they pass their checks; without them, the judged fit is pushed.
          contract: names the label; wanted with a refit.
          parameters: of the run, written into the manifest.
        """
        super().__init__(
            HardTowerPusherSpec(
                model=model,
                blessing=blessing,
                evaluation=evaluation,
                task_assignments=task_assignments,
                examples=examples,
                statistics=statistics,
                one_task=one_task,
                served_model=served_model,
                served_one_task=served_one_task,
                contract="" if contract is None else contract.model_dump_json(),
                serving_dir=serving_dir,
                settings=settings.model_dump_json(),
                run=run.text,
                run_id=run.run_id,
                **chosen(RUN_PARAMETERS, parameters),
                pushed=types.Channel(type=standard_artifacts.PushedModel),
            )
        )
