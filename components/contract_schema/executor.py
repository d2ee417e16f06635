"""Unpacks what TFX hands over and writes the contract's schemas."""

from __future__ import annotations

import os
from typing import Any

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from common.files.gfile import write_text
from components.contract_schema.settings import ComparatorThresholds
from schemas.contract import parse_contract
from schemas.tfmd import feature_schema, labelled_schema

SCHEMA_FILE = "schema.pbtxt"


class Executor(base_executor.BaseExecutor):
    """Executor of `ContractSchema`."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        contract = parse_contract(exec_properties["contract"])
        thresholds = ComparatorThresholds.model_validate_json(exec_properties["thresholds"])
        _write(labelled_schema(contract, **thresholds.model_dump()), output_dict["schema"])
        _write(feature_schema(contract), output_dict["feature_schema"])


def _write(schema: schema_pb2.Schema, artifacts: list[types.Artifact]) -> None:
    path = os.path.join(artifact_utils.get_single_uri(artifacts), SCHEMA_FILE)
    write_text(text_format.MessageToString(schema), path)
