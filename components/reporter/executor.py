"""Executor of the run report."""

from __future__ import annotations

import json
import logging
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from common.files.artifact_dirs import local_dir
from common.files.atomic import run_folder, write_files
from common.files.local import local_path
from common.runs.files import EvaluationFile, RunFile
from common.runs.info import RunInfo
from components.reporter.index import write_index
from components.reporter.inputs import read_run_files
from components.reporter.report import render_report, run_manifest
from components.reporter.sections import key_figures
from components.reporter.summary import summary_rows

FOLDERS = ("evaluation", "task_assignments", "pushed", "gate", "ingest", "last_blessed")
MODEL_RUNS = {"candidate": "candidate_run", "one_task": "one_task_run"}
"""Model -> input that holds its training log."""

logger = logging.getLogger("hardtower")


class Executor(base_executor.BaseExecutor):
    """Writes the report of a run from what the other stages wrote."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        self._log_startup(input_dict, output_dict, exec_properties)
        run = RunInfo.of(exec_properties["run"], exec_properties)
        if not run.run_id and self._context is not None:
            run = run.model_copy(update={"run_id": self._context.pipeline_run_id})
        created = datetime.now(UTC)
        with ExitStack() as stack:

            def folder(key: str) -> Path | None:
                if not (artifacts := input_dict.get(key)):
                    return None
                return stack.enter_context(local_dir(artifact_utils.get_single_uri(artifacts)))

            runs = {model: folder(key) for model, key in MODEL_RUNS.items()}
            files = read_run_files(
                **{key: folder(key) for key in FOLDERS},
                model_runs={model: path for model, path in runs.items() if path is not None},
            )
        manifest = run_manifest(files, run, created)
        page = render_report(files, run, manifest, created)
        key = key_figures(files, manifest, summary_rows(files.metrics, files.comparisons))
        artifact_utils.get_single_instance(output_dict["report"]).write(page)
        if not exec_properties["out_dir"]:
            return
        out = run_folder(local_path("out_dir", exec_properties["out_dir"]), run.run_id)
        write_files(
            out,
            {
                EvaluationFile.METRICS: json.dumps(files.metrics, indent=1) + "\n",
                EvaluationFile.COMPARISONS: json.dumps(files.comparisons, indent=1) + "\n",
                RunFile.FIGURES: json.dumps(key.dump(), indent=1) + "\n",
                RunFile.MANIFEST: manifest.model_dump_json(indent=2) + "\n",
                RunFile.REPORT: page,
            },
        )
        write_index(out.parent.parent)
        logger.info("RunReport: %s", out / RunFile.REPORT)
