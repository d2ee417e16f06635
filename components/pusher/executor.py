"""Executor of the pusher."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, date, datetime
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from tfx import types
from tfx.components.util import model_utils
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.utils import path_utils

from common.clicks.tfrecords import read_batches, shard_files
from common.days import to_day
from common.files.arrow import parquet_table
from common.files.artifact_dirs import local_dir
from common.files.local import local_path, read_local_json
from common.routing.table import PARQUET_FILE, SERVING_FILE, SETTINGS_FILE
from common.runs.files import AssignmentFile, EvaluationFile, PushFile
from common.runs.info import RunInfo
from common.versions.manifest import (
    Manifest,
    build_manifest,
    judged_fit_of,
    refit_of,
)
from components.pusher.push import Cargo, Models, not_blessed, push, refused
from components.pusher.record import Pruning, PushRecord, RefitCheck
from components.pusher.refit import (
    distance_check,
    knowledge_check,
    level_check,
    pruning_check,
    read_new_clicks,
    served_predictions,
    trained_days,
)
from components.pusher.settings import PushSettings, RefitSettings
from components.pusher.warmup import only_features, raw_features, warmup_requests, write_warmup
from components.trainer.export.export import FULL_DIRECTORY
from components.trainer.export.pruning import PruningError, PruningProof, prove_pruning
from schemas.contract import Contract, parse_contract
from schemas.labelled import EVAL, RECENT, TRAIN

STATISTICS_FILE = "FeatureStats.pb"

logger = logging.getLogger("hardtower")


Artifacts = dict[str, list[types.Artifact]]


class Executor(base_executor.BaseExecutor):
    """Proves what is to serve of a blessed recipe and publishes it; records why otherwise."""

    def Do(
        self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]
    ) -> None:
        self._log_startup(input_dict, output_dict, exec_properties)
        settings = PushSettings.model_validate_json(exec_properties["settings"])
        run = RunInfo.of(exec_properties["run"], exec_properties)
        if not run.run_id and self._context is not None:
            run = run.model_copy(update={"run_id": self._context.pipeline_run_id})
        blessing = artifact_utils.get_single_instance(input_dict["blessing"])
        blessed = model_utils.is_model_blessed(blessing)
        refit = blessed and bool(input_dict.get("served_model"))
        with ExitStack() as stack:
            assignments, evaluation = (
                stack.enter_context(local_dir(artifact_utils.get_single_uri(input_dict[key])))
                for key in ("task_assignments", "evaluation")
            )
            judged = served = _models(input_dict, "model", "one_task", stack)
            if refit:
                served = _models(input_dict, "served_model", "served_one_task", stack)
            manifest = _manifest(run, assignments, evaluation, judged, served if blessed else None)
            if not blessed:
                record = not_blessed(manifest)
            else:
                proofs = _examples(input_dict["examples"], EVAL, settings.proof_examples)
                checks: list[RefitCheck] = []
                if refit:
                    checks = _refit_checks(
                        input_dict["examples"],
                        assignments,
                        parse_contract(exec_properties["contract"]),
                        manifest,
                        (judged, served),
                        settings.refit,
                    )
                proof, checks = _proved(served, proofs, checks, refit)
                if proof is None or any(not check.passed for check in checks):
                    record = refused(manifest, checks)
                    summary = f"{manifest.verdict.summary}; {record.reason}"
                    verdict = manifest.verdict.model_copy(update={"summary": summary})
                    manifest = manifest.model_copy(update={"served_fit": None, "verdict": verdict})
                else:
                    cargo = Cargo(
                        served.model,
                        _routing_files(assignments),
                        _train_statistics(input_dict, stack),
                        manifest,
                        _warmup(served.model, proofs, settings),
                        one_task=served.one_task,
                        judged=judged if refit else None,
                    )
                    serving_dir = local_path("serving_dir", exec_properties["serving_dir"])
                    record = push(cargo, serving_dir, settings, Pruning.of(proof))
                fit = "refit" if refit else "judged"
                record = record.model_copy(update={"fit": fit, "checks": tuple(checks)})
        logger.info("HardTowerPusher: %s", record.reason)
        pushed = artifact_utils.get_single_instance(output_dict["pushed"])
        _write(pushed, record, manifest.model_copy(update={"version": record.version}))


def _models(input_dict: Artifacts, model: str, one_task: str, stack: ExitStack) -> Models:
    """The serving SavedModels of two inputs, the second of which may be missing."""

    def serving(key: str) -> Path:
        folder = stack.enter_context(local_dir(artifact_utils.get_single_uri(input_dict[key])))
        return Path(path_utils.serving_model_dir(str(folder)))

    return Models.found(serving(model), serving(one_task) if input_dict.get(one_task) else None)


def _manifest(
    run: RunInfo, assignments: Path, evaluation: Path, judged: Models, served: Models | None
) -> Manifest:
    """
    Args:
      served: what is to serve; None where nothing is blessed.
    """
    splits = read_local_json(assignments / AssignmentFile.SPLITS, {})
    assignment = read_local_json(assignments / AssignmentFile.SETTINGS, {})
    as_judged = judged_fit_of(splits, judged.model_digest, judged.one_task_digest)
    as_served = as_judged if served is judged else None
    if served is not None and served is not judged:
        as_served = refit_of(
            splits,
            assignment["as_of"],
            assignment["served_calibration_days"],
            served.model_digest,
            served.one_task_digest,
        )
    shown = served or judged
    return build_manifest(
        run=run,
        assignment=assignment,
        splits=splits,
        metrics=read_local_json(evaluation / EvaluationFile.METRICS, []),
        verdict=read_local_json(evaluation / EvaluationFile.VERDICT, {}),
        model_digest=shown.model_digest,
        one_task_digest=shown.one_task_digest,
        judged_fit=as_judged,
        served_fit=as_served,
        created=datetime.now(UTC),
    )


def _proved(
    served: Models, examples: list[bytes], checks: list[RefitCheck], refit: bool
) -> tuple[PruningProof | None, list[RefitCheck]]:
    """The proof of the pruning, for a refit one of its checks.

    Raises:
      PruningError: the judged fit's graphs are not what they should be.
    """
    try:
        full = served.model.parent / FULL_DIRECTORY
        proof = prove_pruning(str(served.model), str(full), examples)
    except PruningError as error:
        if not refit:
            raise
        return None, [*checks, pruning_check(str(error), passed=False)]
    what = (
        f"no soft variable, hard predictions within {proof.largest_difference:.2g} of the full "
        f"graph's on {proof.examples:,} examples"
    )
    return proof, [*checks, pruning_check(what, passed=True)] if refit else checks


def _refit_checks(
    examples: list[types.Artifact],
    assignments: Path,
    contract: Contract,
    manifest: Manifest,
    fits: tuple[Models, Models],
    settings: RefitSettings,
) -> list[RefitCheck]:
    """What the refit shows on the clicks after the eval period; on that period's where there are
    none.

    Args:
      fits: the judged one and the refit.
    """
    recent = manifest.data.splits.get(RECENT)
    split = RECENT if recent is not None and recent.examples else EVAL
    files = shard_files(artifact_utils.get_split_uri(examples, split))
    count = manifest.data.splits[split].examples
    clicks = read_new_clicks(files, contract, count, settings.examples)
    judged, served = (
        served_predictions(clicks, str(fit.model), str(fit.one_task or fit.model)) for fit in fits
    )
    days = {
        name: trained_days(fit.first_day, fit.last_day)
        for name, fit in (("judged", manifest.judged_fit), ("served", manifest.served_fit))
        if fit is not None
    }
    as_of = to_day(date.fromisoformat(manifest.data.as_of))
    history = parquet_table(assignments / AssignmentFile.HISTORY, ["setup_id", "day", "clicks"])
    everything = np.ones(len(clicks), bool)
    return [
        level_check("level_hard", clicks, clicks.hard, served, settings),
        level_check("level_all", clicks, everything, served, settings),
        distance_check(served, judged, settings),
        knowledge_check(history, days, as_of, settings),
    ]


def _warmup(model: Path, examples: list[bytes], settings: PushSettings) -> Callable[[Path], None]:
    features = raw_features(model)
    requests = warmup_requests([only_features(e, features) for e in examples], settings)
    return lambda folder: write_warmup(folder, requests)


def _examples(artifacts: list[types.Artifact], split: str, count: int) -> list[bytes]:
    uri = artifact_utils.get_split_uri(artifacts, split)
    batches = chain.from_iterable(read_batches(file, count) for file in shard_files(uri))
    return list(islice(chain.from_iterable(batches), count))


def _routing_files(assignments: Path) -> dict[str, Path]:
    return {
        PARQUET_FILE: assignments / PARQUET_FILE,
        SERVING_FILE: assignments / SERVING_FILE,
        SETTINGS_FILE: assignments / AssignmentFile.SETTINGS,
    }


def _train_statistics(input_dict: dict[str, list[types.Artifact]], stack: ExitStack) -> Path | None:
    if not (artifacts := input_dict.get("statistics")):
        return None
    uri = artifact_utils.get_split_uri(artifacts, TRAIN)
    return stack.enter_context(local_dir(uri)) / STATISTICS_FILE


def _write(pushed: types.Artifact, record: PushRecord, manifest: Manifest) -> None:
    pushed.set_int_custom_property("pushed", int(record.pushed))
    if record.version is not None and record.path is not None:
        pushed.set_string_custom_property("pushed_version", str(record.version))
        pushed.set_string_custom_property("pushed_destination", record.path)
    for name, contents in ((PushFile.RECORD, record), (PushFile.MANIFEST, manifest)):
        with fileio.open(f"{pushed.uri}/{name}", "w") as file:
            file.write(json.dumps(contents.model_dump(mode="json"), indent=2) + "\n")
