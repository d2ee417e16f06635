"""Unpacks what TFX hands over and calls the task labeller."""

from __future__ import annotations

from typing import Any

from tfx import types
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils

from common.as_of import recorded_as_of, resolve_as_of
from common.clicks.tfrecords import shard_files
from common.runs.parameters import LABELLING, changed
from components.task_labeler.calendar import split_names
from components.task_labeler.passes.clicks import ClickLog
from components.task_labeler.passes.label import SplitPlaces
from components.task_labeler.run import Folders, label_clicks, refuse_faults
from components.task_labeler.settings import LabellingSettings, SplitSettings
from schemas.contract import parse_contract


class Executor(base_beam_executor.BaseBeamExecutor):
    """Executor of `TaskLabeler`."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        labelled = artifact_utils.get_single_instance(output_dict["labelled_examples"])
        assignments = artifact_utils.get_single_instance(output_dict["task_assignments"])
        contract = parse_contract(exec_properties["contract"])
        files = [
            path
            for split in artifact_utils.decode_split_names(examples.split_names)
            for path in shard_files(artifact_utils.get_split_uri([examples], split))
        ]
        if exec_properties["check_rows"]:
            refuse_faults(files, contract)
        columns = artifact_utils.get_single_instance(output_dict["labelled_columns"])
        splits = list(split_names(contract))
        for artifact in (labelled, columns):
            artifact.split_names = artifact_utils.encode_split_names(splits)
        for name in ("payload_format", "file_format"):
            value = examples.get_string_custom_property(name)
            labelled.set_string_custom_property(name, value)
        parquet = example_gen_pb2.FileFormat.Name(example_gen_pb2.FILE_FORMAT_PARQUET)
        examples_utils.set_file_format(columns, parquet)
        examples_utils.set_payload_format(columns, example_gen_pb2.FORMAT_PARQUET)
        as_of = resolve_as_of(recorded_as_of(examples) or exec_properties["as_of"])
        identity = label_clicks(
            log=ClickLog(files, contract, as_of),
            labelling=changed(
                LabellingSettings, exec_properties["labelling"], LABELLING, exec_properties
            ),
            splits=SplitSettings.model_validate_json(exec_properties["splits"]),
            folders=Folders(
                {
                    split: SplitPlaces(
                        artifact_utils.get_split_uri([labelled], split),
                        artifact_utils.get_split_uri([columns], split),
                    )
                    for split in splits
                },
                assignments.uri,
                f"{self._get_tmp_dir()}/task_labeler",
            ),
            make_pipeline=self._make_beam_pipeline,
        )
        assignments.set_string_custom_property("assignment_id", identity)
