"""Copies the newest version of the push folder that is not this run's own into an artifact."""

from __future__ import annotations

import json
import logging
from datetime import date
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import io_utils, path_utils

from common.as_of import recorded_as_of, resolve_as_of
from common.files.local import local_path
from common.runs.info import RunInfo
from common.versions.attempt import Attempt
from common.versions.folder import ServingFolder
from common.versions.reference import LAST_BLESSED

logger = logging.getLogger("hardtower")


class Executor(base_executor.BaseExecutor):
    """Executor of `LastBlessed`."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        folder = exec_properties["serving_dir"]
        model = artifact_utils.get_single_instance(output_dict["model"])
        ingest = input_dict.get("ingest")
        recorded = recorded_as_of(artifact_utils.get_single_instance(ingest)) if ingest else ""
        as_of = resolve_as_of(recorded or exec_properties.get("as_of", ""))
        newest = ServingFolder(local_path("serving_dir", folder)).newest(
            but=self._attempt(as_of, exec_properties).left
        )
        record = {
            "version": str(newest.number) if newest else "",
            "manifest_digest": newest.manifest_digest if newest else "",
            "as_of": as_of.isoformat(),
        }
        if newest is None:
            logger.info("LastBlessed: no version in %s yet", folder)
        else:
            io_utils.copy_dir(str(newest.path), path_utils.serving_model_dir(model.uri))
            logger.info("LastBlessed: version %d of %s", newest.number, folder)
        for name, value in record.items():
            model.set_string_custom_property(name, value)
        io_utils.write_string_file(f"{model.uri}/{LAST_BLESSED}", json.dumps(record) + "\n")

    def _attempt(self, as_of: date, exec_properties: dict[str, Any]) -> Attempt:
        run = RunInfo(
            run_id=self._context.pipeline_run_id or "" if self._context is not None else "",
            as_of=as_of.isoformat(),
            code_version=exec_properties.get("code_version", ""),
            config=json.loads(exec_properties.get("config") or "{}"),
        )
        return Attempt.of(run, exec_properties, exec_properties.get("out_dir", ""))
