"""TFX face of the evaluator."""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import channel_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.evaluator.executor import Executor
from components.evaluator.settings import EvaluationSettings, GateSettings
from components.task_labeler.artifacts import TaskAssignments
from schemas.contract import Contract


class HardTowerEvaluatorSpec(ComponentSpec):
    """Labelled examples and models in; evaluation and blessing out."""

    PARAMETERS = {
        "contract": ExecutionParameter(type=str),
        "evaluation_settings": ExecutionParameter(type=str),
        "gate_settings": ExecutionParameter(type=str),
        "code": ExecutionParameter(type=str),
    }
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "model": ChannelParameter(type=standard_artifacts.Model),
        "one_task": ChannelParameter(type=standard_artifacts.Model),
        "last_blessed": ChannelParameter(type=standard_artifacts.Model, optional=True),
        "task_assignments": ChannelParameter(type=TaskAssignments, optional=True),
    }
    OUTPUTS = {
        "evaluation": ChannelParameter(type=standard_artifacts.ModelEvaluation),
        "blessing": ChannelParameter(type=standard_artifacts.ModelBlessing),
    }


class HardTowerEvaluator(base_beam_component.BaseBeamComponent):
    """Measures the serving graphs on the eval period and blesses the candidate, or does not.

    Unlike TFX's Evaluator it never passes a candidate for want of a baseline without saying so:
    see `components.evaluator.verdict.gate`.

    Output `evaluation` holds TFMA's own result (`tfma.load_eval_result`), `metrics.json`,
    `comparisons.json`, `calibration.json`, `predictions.parquet` and `verdict.json`. Output
    `blessing` follows TFX: custom property `blessed` (1 or 0) and a file BLESSED or NOT_BLESSED.

    Args:
      examples: labelled examples with a split `eval`.
      model: the candidate; its `Format-Serving` is evaluated, and pushed when blessed.
      one_task: the one-task model trained on the same examples.
      last_blessed: output of `LastBlessed`; without one, or with an empty one, there is no
        baseline.
      task_assignments: the assignment of the examples; its id is recorded.
      contract: names the label and the columns.
      code: fingerprint of the program; changes invalidate cached results.
    """

    SPEC_CLASS = HardTowerEvaluatorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        *,
        examples: types.BaseChannel,
        model: types.BaseChannel,
        one_task: types.BaseChannel,
        contract: Contract,
        evaluation: EvaluationSettings,
        gate: GateSettings,
        code: str,
        last_blessed: types.BaseChannel | None = None,
        task_assignments: types.BaseChannel | None = None,
    ) -> None:
        spec = HardTowerEvaluatorSpec(
            examples=examples,
            model=model,
            one_task=one_task,
            last_blessed=last_blessed,
            task_assignments=task_assignments,
            contract=contract.model_dump_json(),
            evaluation_settings=evaluation.model_dump_json(),
            gate_settings=gate.model_dump_json(),
            code=code,
            evaluation=channel_utils.as_channel([standard_artifacts.ModelEvaluation()]),
            blessing=channel_utils.as_channel([standard_artifacts.ModelBlessing()]),
        )
        super().__init__(spec=spec)
