"""TFX face of the contract's schemas."""

from __future__ import annotations

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.contract_schema.executor import Executor
from components.contract_schema.settings import ComparatorThresholds
from schemas.contract import Contract


class ContractSchemaSpec(ComponentSpec):
    """A contract in; the schemas of the labelled examples and of the model's features out."""

    PARAMETERS = {
        "contract": ExecutionParameter(type=str),
        "thresholds": ExecutionParameter(type=str),
        "code": ExecutionParameter(type=str),
    }
    INPUTS: dict[str, ChannelParameter] = {}
    OUTPUTS = {
        "schema": ChannelParameter(type=standard_artifacts.Schema),
        "feature_schema": ChannelParameter(type=standard_artifacts.Schema),
    }


class ContractSchema(base_component.BaseComponent):
    """Writes the schemas that follow from a data set contract.

    Outputs `schema`, of the labelled examples, for statistics and validation; and
    `feature_schema`, of the model's features alone, for Transform.

    Args:
      thresholds: of the drift and skew comparators.
      code: fingerprint of the program; changes invalidate cached results.
    """

    SPEC_CLASS = ContractSchemaSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, contract: Contract, thresholds: ComparatorThresholds, code: str) -> None:
        spec = ContractSchemaSpec(
            contract=contract.model_dump_json(),
            thresholds=thresholds.model_dump_json(),
            code=code,
            schema=channel_utils.as_channel([standard_artifacts.Schema()]),
            feature_schema=channel_utils.as_channel([standard_artifacts.Schema()]),
        )
        super().__init__(spec=spec)
