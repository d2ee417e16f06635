"""TFX face of the task labeller."""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import channel_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from common.runs.parameters import LABELLING, parameters_of
from common.runs.properties import ParameterValues, chosen, execution_parameters
from components.task_labeler.artifacts import TaskAssignments
from components.task_labeler.executor import Executor
from components.task_labeler.settings import LabellingSettings, SplitSettings, with_pins
from schemas.contract import Contract


class TaskLabelerSpec(ComponentSpec):
    """Clicks in; labelled clicks by period and the assignments out."""

    PARAMETERS = {
        "contract": ExecutionParameter(type=str),
        "as_of": ExecutionParameter(type=str),
        "labelling": ExecutionParameter(type=str),
        "splits": ExecutionParameter(type=str),
        "check_rows": ExecutionParameter(type=int),
        "code": ExecutionParameter(type=str),
        **execution_parameters(parameters_of(LABELLING)),
    }
    INPUTS = {"examples": ChannelParameter(type=standard_artifacts.Examples)}
    OUTPUTS = {
        "labelled_examples": ChannelParameter(type=standard_artifacts.Examples),
        "labelled_columns": ChannelParameter(type=standard_artifacts.Examples),
        "task_assignments": ChannelParameter(type=TaskAssignments),
    }


class TaskLabeler(base_beam_component.BaseBeamComponent):
    """Splits conversion setups into hard and soft by their decayed CVR (paper, section 3.1.2).

    Writes the labelled clicks twice: `labelled_examples` are gzip TFRecords of tf.Examples, what a
    serving graph takes; `labelled_columns` are the same rows as Parquet, which TFX's components
    read several times faster.

    Args:
      examples: clicks with the contract's columns.
      as_of: ISO date, the first day whose events the run must not see, for examples that do not
        carry one; empty for the day (UTC) of the execution.
      labelling: how setups are labelled; a `pins_file` is read here.
      check_rows: whether to check rows against the contract first, for clicks that no other
        stage has checked.
      code: fingerprint of the program; changes invalidate cached results.
      parameters: of the run; those of `labelling` are laid over it.
    """

    SPEC_CLASS = TaskLabelerSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        contract: Contract,
        as_of: str,
        labelling: LabellingSettings,
        splits: SplitSettings,
        check_rows: bool,
        code: str,
        parameters: ParameterValues | None = None,
    ) -> None:
        spec = TaskLabelerSpec(
            examples=examples,
            contract=contract.model_dump_json(),
            as_of=as_of,
            labelling=with_pins(labelling, contract.roles.setup).model_dump_json(),
            splits=splits.model_dump_json(),
            check_rows=int(check_rows),
            code=code,
            **chosen(parameters_of(LABELLING), parameters),
            labelled_examples=channel_utils.as_channel([standard_artifacts.Examples()]),
            labelled_columns=channel_utils.as_channel([standard_artifacts.Examples()]),
            task_assignments=channel_utils.as_channel([TaskAssignments()]),
        )
        super().__init__(spec=spec)
