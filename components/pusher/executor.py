"""Executor of the pusher."""

from __future__ import annotations

import json
import logging
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from typing import Any

from tfx import types
from tfx.components.util import model_utils
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.utils import path_utils

from common.clicks.tfrecords import read_batches, shard_files
from common.files.artifact_dirs import local_dir
from common.files.local import local_path, read_local_json
from common.routing.table import PARQUET_FILE, SERVING_FILE, SETTINGS_FILE
from common.runs.info import RunInfo
from common.versions.digest import model_digest
from common.versions.manifest import MANIFEST_FILE, Manifest, build_manifest
from components.pusher.push import Cargo, not_blessed, push
from components.pusher.record import RECORD_FILE, Pruning, PushRecord
from components.pusher.settings import PushSettings
from components.pusher.warmup import only_features, raw_features, warmup_requests, write_warmup
from components.trainer.export.export import FULL_DIRECTORY
from components.trainer.export.pruning import prove_pruning
from schemas.labelled import EVAL, TRAIN

STATISTICS_FILE = "FeatureStats.pb"

logger = logging.getLogger("hardtower")


class Executor(base_executor.BaseExecutor):
    """Proves the pruning of a blessed model and publishes it; records why otherwise."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        self._log_startup(input_dict, output_dict, exec_properties)
        settings = PushSettings.model_validate_json(exec_properties["settings"])
        run = RunInfo.of(exec_properties["run"], exec_properties)
        if not run.run_id and self._context is not None:
            run = run.model_copy(update={"run_id": self._context.pipeline_run_id})
        pushed = artifact_utils.get_single_instance(output_dict["pushed"])
        blessing = artifact_utils.get_single_instance(input_dict["blessing"])
        with ExitStack() as stack:
            model, assignments, evaluation = (
                stack.enter_context(local_dir(artifact_utils.get_single_uri(input_dict[key])))
                for key in ("model", "task_assignments", "evaluation")
            )
            serving = Path(path_utils.serving_model_dir(str(model)))
            one_task = _one_task_model(input_dict, stack)
            manifest = build_manifest(
                run=run,
                assignment=read_local_json(assignments / "settings.json", {}),
                splits=read_local_json(assignments / "splits.json", {}),
                metrics=read_local_json(evaluation / "metrics.json", []),
                verdict=read_local_json(evaluation / "verdict.json", {}),
                model_digest=model_digest(serving),
                one_task_digest=model_digest(one_task) if one_task is not None else "",
                created=datetime.now(UTC),
            )
            if model_utils.is_model_blessed(blessing):
                examples = _eval_examples(input_dict["examples"], settings.proof_examples)
                proof = prove_pruning(str(serving), str(model / FULL_DIRECTORY), examples)
                features = raw_features(serving)
                requests = warmup_requests([only_features(e, features) for e in examples], settings)
                cargo = Cargo(
                    serving,
                    _routing_files(assignments),
                    _train_statistics(input_dict, stack),
                    manifest,
                    write_warmup=lambda folder: write_warmup(folder, requests),
                    one_task=one_task,
                )
                serving_dir = local_path("serving_dir", exec_properties["serving_dir"])
                record = push(cargo, serving_dir, settings, Pruning.of(proof))
            else:
                record = not_blessed(manifest)
        logger.info("HardTowerPusher: %s", record.reason)
        _write(pushed, record, manifest.model_copy(update={"version": record.version}))


def _eval_examples(artifacts: list[types.Artifact], count: int) -> list[bytes]:
    uri = artifact_utils.get_split_uri(artifacts, EVAL)
    batches = chain.from_iterable(read_batches(file, count) for file in shard_files(uri))
    return list(islice(chain.from_iterable(batches), count))


def _routing_files(assignments: Path) -> dict[str, Path]:
    return {
        PARQUET_FILE: assignments / PARQUET_FILE,
        SERVING_FILE: assignments / SERVING_FILE,
        SETTINGS_FILE: assignments / "settings.json",
    }


def _train_statistics(input_dict: dict[str, list[types.Artifact]], stack: ExitStack) -> Path | None:
    if not (artifacts := input_dict.get("statistics")):
        return None
    uri = artifact_utils.get_split_uri(artifacts, TRAIN)
    return stack.enter_context(local_dir(uri)) / STATISTICS_FILE


def _one_task_model(input_dict: dict[str, list[types.Artifact]], stack: ExitStack) -> Path | None:
    if not (artifacts := input_dict.get("one_task")):
        return None
    model = stack.enter_context(local_dir(artifact_utils.get_single_uri(artifacts)))
    return Path(path_utils.serving_model_dir(str(model)))


def _write(pushed: types.Artifact, record: PushRecord, manifest: Manifest) -> None:
    pushed.set_int_custom_property("pushed", int(record.pushed))
    if record.version is not None and record.path is not None:
        pushed.set_string_custom_property("pushed_version", str(record.version))
        pushed.set_string_custom_property("pushed_destination", record.path)
    for name, contents in ((RECORD_FILE, record), (MANIFEST_FILE, manifest)):
        with fileio.open(f"{pushed.uri}/{name}", "w") as file:
            file.write(json.dumps(contents.model_dump(mode="json"), indent=2) + "\n")
