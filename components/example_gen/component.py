"""TFX face of the click log ExampleGen."""

from __future__ import annotations

from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.orchestration.data_types import RuntimeParameter
from tfx.types import channel_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.example_gen.artifacts import IngestReport
from components.example_gen.driver import Driver
from components.example_gen.executor import Executor
from components.example_gen.settings import IngestSettings
from schemas.contract import Contract


class ClickLogGenSpec(ComponentSpec):
    """A window of a click log in; tf.Examples with the contract's columns out."""

    PARAMETERS = {
        "contract": ExecutionParameter(type=str),
        "root": ExecutionParameter(type=str),
        "as_of": ExecutionParameter(type=str),
        "window_days": ExecutionParameter(type=int),
        "ingest": ExecutionParameter(type=str),
        "code": ExecutionParameter(type=str),
        "input_fingerprint": ExecutionParameter(type=str, optional=True),
    }
    INPUTS: dict[str, ChannelParameter] = {}
    OUTPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "report": ChannelParameter(type=IngestReport),
    }


class ClickLogGen(base_beam_component.BaseBeamComponent):
    """ExampleGen of a rolling window of a click log.

    Args:
      root: the folder that relative patterns of the contract start from.
      as_of: ISO date, the day after the window's last; empty for the day (UTC) of the execution,
        which the examples then carry for all later stages.
      window_days: days of clicks before `as_of`.
      code: fingerprint of the program; changes invalidate cached results.
    """

    SPEC_CLASS = ClickLogGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)
    DRIVER_CLASS = Driver

    def __init__(
        self,
        contract: Contract,
        root: str,
        as_of: str | RuntimeParameter,
        window_days: int | RuntimeParameter,
        ingest: IngestSettings,
        code: str,
    ) -> None:
        spec = ClickLogGenSpec(
            contract=contract.model_dump_json(),
            root=root,
            as_of=as_of,
            window_days=window_days,
            ingest=ingest.model_dump_json(),
            code=code,
            examples=channel_utils.as_channel([standard_artifacts.Examples()]),
            report=channel_utils.as_channel([IngestReport()]),
        )
        super().__init__(spec=spec)
