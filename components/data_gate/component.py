"""TFX face of the data gate."""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.data_gate.artifacts import DataVerdict
from components.data_gate.executor import Executor
from components.data_gate.settings import DataGateSettings


class DataGateSpec(ComponentSpec):
    """Statistics and anomalies in, a verdict on the data out."""

    PARAMETERS = {
        "settings": ExecutionParameter(type=str),
        "serving_dir": ExecutionParameter(type=str),
        "reference": ExecutionParameter(type=str),
        "code": ExecutionParameter(type=str),
    }
    INPUTS = {
        "statistics": ChannelParameter(type=standard_artifacts.ExampleStatistics),
        "schema": ChannelParameter(type=standard_artifacts.Schema),
        "anomalies": ChannelParameter(type=standard_artifacts.ExampleAnomalies),
    }
    OUTPUTS = {"verdict": ChannelParameter(type=DataVerdict)}


class DataGate(base_component.BaseComponent):
    """Stops the run on anomalies that matter; reports the others.

    Args:
      statistics, anomalies: of the labelled examples, by split.
      serving_dir: push folder; the newest version's train statistics are the reference of drift.
      reference: fingerprint of the push folder, so that a push invalidates cached results.
      code: fingerprint of the program; changes invalidate cached results.
    """

    SPEC_CLASS = DataGateSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        statistics: types.BaseChannel,
        schema: types.BaseChannel,
        anomalies: types.BaseChannel,
        settings: DataGateSettings,
        serving_dir: str,
        reference: str,
        code: str,
    ) -> None:
        spec = DataGateSpec(
            statistics=statistics,
            schema=schema,
            anomalies=anomalies,
            settings=settings.model_dump_json(),
            serving_dir=serving_dir,
            reference=reference,
            code=code,
            verdict=channel_utils.as_channel([DataVerdict()]),
        )
        super().__init__(spec=spec)
