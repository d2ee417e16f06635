"""Unpacks what TFX hands over, evaluates, and writes evaluation and blessing."""

from __future__ import annotations

import logging
from itertools import chain, islice
from typing import Any

from tfx import types
from tfx.components.evaluator import constants
from tfx.dsl.components.base import base_beam_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.utils import io_utils, path_utils

from common.clicks.tfrecords import read_batches, shard_files
from common.files.gfile import read_json
from common.runs.files import AssignmentFile
from common.versions.reference import MODEL_FILE, comparable_model
from components.evaluator.evaluate import Inputs, evaluate
from components.evaluator.scores.table import CANDIDATE, LAST_BLESSED, LOGISTIC, ONE_TASK
from components.evaluator.settings import EvaluationSettings, GateSettings
from components.evaluator.verdict.baseline import why_unusable
from components.evaluator.verdict.gate import Baseline, Verdict
from components.trainer.export.export import REFERENCE_DIRECTORY
from schemas.contract import Contract, parse_contract
from schemas.errors import InputError
from schemas.labelled import EVAL

PROBES = 64
"""Examples that the last blessed model is tried on."""

logger = logging.getLogger("hardtower")

Artifacts = dict[str, list[types.Artifact]]


class Executor(base_beam_executor.BaseBeamExecutor):
    """Executor of `HardTowerEvaluator`."""

    def Do(
        self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]
    ) -> None:
        contract = parse_contract(exec_properties["contract"])
        split = artifact_utils.get_split_uri(input_dict["examples"], EVAL)
        shards = shard_files(split)
        if not shards:
            raise InputError(f"examples: split {EVAL!r} at {split} holds no examples")
        models = {
            CANDIDATE: _serving_path(input_dict["model"]),
            ONE_TASK: _serving_path(input_dict["one_task"]),
        }
        reference = f"{artifact_utils.get_single_uri(input_dict['model'])}/{REFERENCE_DIRECTORY}"
        if fileio.exists(f"{reference}/{MODEL_FILE}"):
            models[LOGISTIC] = reference
        else:
            logger.warning(
                "Evaluator: no logistic regression beside the candidate at %s", reference
            )
        baseline = _baseline(input_dict.get(LAST_BLESSED, []), contract, shards)
        if baseline.name is not None:
            models[LAST_BLESSED] = _comparable_path(input_dict[LAST_BLESSED])

        evaluation = artifact_utils.get_single_instance(output_dict["evaluation"])
        verdict = evaluate(
            Inputs(
                contract,
                shards,
                models,
                baseline,
                EvaluationSettings.model_validate_json(exec_properties["evaluation_settings"]),
                GateSettings.model_validate_json(exec_properties["gate_settings"]),
            ),
            evaluation.uri,
            self._make_beam_pipeline,
        )
        assignment = _assignment_id(input_dict.get("task_assignments", []))
        evaluation.set_string_custom_property("assignment_id", assignment)
        _bless(verdict, input_dict, output_dict)


def _baseline(
    artifacts: list[types.Artifact], contract: Contract, shards: tuple[str, ...]
) -> Baseline:
    """The last blessed model, if there is one and it takes the current examples."""
    if not artifacts:
        return Baseline()
    path = _comparable_path(artifacts)
    if not fileio.exists(f"{path}/{MODEL_FILE}"):
        return Baseline()
    version = artifacts[0].get_string_custom_property("version")
    name = f"version {version}" if version else "the last blessed model"
    records = chain.from_iterable(b for s in shards for b in read_batches(s, PROBES))
    problem = why_unusable(path, contract, list(islice(records, PROBES)))
    if problem is None:
        return Baseline(name)
    note = f"{name} does not take the current examples and is left out: {problem}"
    logger.warning("Evaluator: %s", note)
    return Baseline(note=note)


def _serving_path(artifacts: list[types.Artifact]) -> str:
    artifact = artifact_utils.get_single_instance(artifacts)
    return str(path_utils.serving_model_dir(artifact.uri))


def _comparable_path(artifacts: list[types.Artifact]) -> str:
    return comparable_model(_serving_path(artifacts), fileio.exists)


def _assignment_id(artifacts: list[types.Artifact]) -> str:
    if not artifacts:
        return ""
    return str(read_json(f"{artifacts[0].uri}/{AssignmentFile.SETTINGS}")["assignment_id"])


def _bless(verdict: Verdict, input_dict: Artifacts, output_dict: Artifacts) -> None:
    """Marks the blessing as `tfx.components.Evaluator` does."""
    blessing = artifact_utils.get_single_instance(output_dict["blessing"])
    model = artifact_utils.get_single_instance(input_dict["model"])
    blessing.set_string_custom_property(
        constants.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY, model.uri
    )
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY, model.id)
    if verdict.baseline is not None:
        baseline = artifact_utils.get_single_instance(input_dict[LAST_BLESSED])
        blessing.set_string_custom_property(
            constants.ARTIFACT_PROPERTY_BASELINE_MODEL_URI_KEY, baseline.uri
        )
        blessing.set_int_custom_property(
            constants.ARTIFACT_PROPERTY_BASELINE_MODEL_ID_KEY, baseline.id
        )
    blessing.set_string_custom_property(
        constants.ARTIFACT_PROPERTY_BLESSING_MESSAGE_KEY, verdict.summary
    )
    file, value = (
        (constants.BLESSED_FILE_NAME, constants.BLESSED_VALUE)
        if verdict.blessed
        else (constants.NOT_BLESSED_FILE_NAME, constants.NOT_BLESSED_VALUE)
    )
    io_utils.write_string_file(f"{blessing.uri}/{file}", "")
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY, value)
