"""Unpacks what TFX hands over and calls the task labeller."""

from __future__ import annotations

from typing import Any

from tfx import types
from tfx.dsl.components.base import base_beam_executor
from tfx.types import artifact_utils

from components.common.as_of import resolve_as_of
from components.common.tfrecords import shard_files
from components.task_labeler.calendar import SPLITS
from components.task_labeler.run import label_clicks, refuse_faults
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
        labelled.split_names = artifact_utils.encode_split_names(list(SPLITS))
        for name in ("payload_format", "file_format"):
            value = examples.get_string_custom_property(name)
            labelled.set_string_custom_property(name, value)
        identity = label_clicks(
            files=files,
            contract=contract,
            as_of=resolve_as_of(exec_properties["as_of"]),
            labelling=LabellingSettings.model_validate_json(exec_properties["labelling"]),
            splits=SplitSettings.model_validate_json(exec_properties["splits"]),
            split_uris={split: artifact_utils.get_split_uri([labelled], split) for split in SPLITS},
            assignments_uri=assignments.uri,
            temp=f"{self._get_tmp_dir()}/task_labeler",
            make_pipeline=self._make_beam_pipeline,
        )
        assignments.assignment_id = identity
