"""TFX face of the trainer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.proto import trainer_pb2
from tfx.types import channel_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ExecutionParameter
from tfx.types.standard_component_specs import TrainerSpec
from tfx.utils import json_utils

from common.runs.blessing import BLESSING
from common.runs.parameters import LOSS, TRAINING, parameters_of
from common.runs.properties import ParameterValues, chosen, execution_parameters
from components.trainer.executor import JUDGED_RUN, Executor

RUN_FN = "components.trainer.run_fn.run_fn"


class HardTowerTrainerSpec(TrainerSpec):
    """TFX's own, the run's parameters of loss and training, and a blessing to wait for."""

    INPUTS = {
        **TrainerSpec.INPUTS,
        BLESSING: ChannelParameter(type=standard_artifacts.ModelBlessing, optional=True),
        JUDGED_RUN: ChannelParameter(type=standard_artifacts.ModelRun, optional=True),
    }

    PARAMETERS: dict[str, ExecutionParameter] = {
        **TrainerSpec.PARAMETERS,
        **execution_parameters(parameters_of(LOSS, TRAINING)),
    }


class HardTowerTrainer(base_component.BaseComponent):
    """TFX's Trainer around `components.trainer.run_fn`, with parameters of the run.

    Outputs are TFX's: `model` with `Format-Serving` and `Format-Full`, and `model_run`.

    Args:
      train_splits, calibration_splits: splits of `examples`.
      custom_config: what `run_fn` takes its settings from; JSON values.
      parameters: of the run; those of `loss` and `training` are laid over the settings.
      inputs: further inputs, such as `schema`, `base_model`, the `blessing` without which nothing
        is trained, or `judged_run`, the `model_run` of the judged fit that this one follows.
    """

    SPEC_CLASS = HardTowerTrainerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        examples: types.BaseChannel,
        transform_graph: types.BaseChannel,
        train_splits: Sequence[str],
        calibration_splits: Sequence[str],
        custom_config: Mapping[str, Any],
        parameters: ParameterValues | None = None,
        **inputs: types.BaseChannel | None,
    ) -> None:
        spec = HardTowerTrainerSpec(
            examples=examples,
            transform_graph=transform_graph,
            train_args=trainer_pb2.TrainArgs(splits=list(train_splits)),
            eval_args=trainer_pb2.EvalArgs(splits=list(calibration_splits)),
            run_fn=RUN_FN,
            custom_config=json_utils.dumps(dict(custom_config)),
            model=channel_utils.as_channel([standard_artifacts.Model()]),
            model_run=channel_utils.as_channel([standard_artifacts.ModelRun()]),
            **chosen(parameters_of(LOSS, TRAINING), parameters),
            **inputs,
        )
        super().__init__(spec=spec)
