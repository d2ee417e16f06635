"""Unpacks what TFX hands over and calls the ingest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfx import types
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils

from common.as_of import record_as_of, resolve_as_of
from components.example_gen.readers.source import Window
from components.example_gen.run import ingest
from components.example_gen.settings import IngestSettings
from schemas.contract import parse_contract

SPLIT = "log"


class Executor(base_beam_executor.BaseBeamExecutor):
    """Executor of `ClickLogGen`."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        examples = artifact_utils.get_single_instance(output_dict["examples"])
        report = artifact_utils.get_single_instance(output_dict["report"])
        examples.split_names = artifact_utils.encode_split_names([SPLIT])
        examples_utils.set_payload_format(examples, example_gen_pb2.PayloadFormat.FORMAT_TF_EXAMPLE)
        examples_utils.set_file_format(examples, "tfrecords_gzip")
        as_of = resolve_as_of(exec_properties["as_of"])
        for artifact in (examples, report):
            record_as_of(artifact, as_of)
        ingest(
            contract=parse_contract(exec_properties["contract"]),
            root=Path(exec_properties["root"]),
            window=Window.before(as_of, exec_properties["window_days"]),
            settings=IngestSettings.model_validate_json(exec_properties["ingest"]),
            split_uri=artifact_utils.get_split_uri([examples], SPLIT),
            report_uri=report.uri,
            make_pipeline=self._make_beam_pipeline,
        )
