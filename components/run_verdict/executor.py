"""Unpacks what the orchestrator hands over and writes the verdict."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from common.files.atomic import run_folder, write_files
from common.files.local import local_path
from common.runs.files import RunFile
from common.runs.info import RUN_ID
from components.run_verdict.page import render_verdict
from components.run_verdict.verdict import judge_run

logger = logging.getLogger("hardtower")


class Executor(base_executor.BaseExecutor):
    """Executor of `RunVerdict`."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        run_id = exec_properties[RUN_ID]
        folder = run_folder(local_path("out_dir", exec_properties["out_dir"]), run_id)
        verdict = judge_run(
            run_id,
            exec_properties["final_status"],
            folder,
            exec_properties["serving_dir"],
            datetime.now(UTC),
        )
        page = render_verdict(verdict)
        artifact_utils.get_single_instance(output_dict["verdict"]).write(page)
        write_files(
            folder,
            {RunFile.VERDICT: verdict.model_dump_json(indent=2) + "\n", "verdict.html": page},
        )
        logger.info("RunVerdict: %s; serving %s", verdict.status, verdict.serving)
