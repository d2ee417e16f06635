"""Stages that run once the recipe is blessed, and not again for a new blessing of the same.

TFX's conditions are not known to every orchestrator, so that such a stage takes the blessing as an
input, and returns without it. The blessing is new whenever the evaluator has run, if only because
there is another baseline to compare with: TFX, which keys results by all inputs, would run the
stage again for it. Results are therefore found again by all inputs but the blessing.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping
from typing import Any

from tfx import types
from tfx.components.util import model_utils
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.utils import io_utils

BLESSING = "blessing"
"""Input of such a stage, optional: without it the stage runs like any other."""

SKIPPED_FILE = "SKIPPED"
"""Stands in place of what the stage would have written: object stores know no empty folders."""

KEY_FILE = "result_key"
"""Beside a result, what it is found again by."""

logger = logging.getLogger("hardtower")

Artifacts = dict[str, list[types.Artifact]]


def once_blessed(
    stage: str,
    input_dict: Artifacts,
    output_dict: Artifacts,
    exec_properties: Mapping[str, Any],
    run: Callable[[], None],
) -> None:
    """Runs a stage, unless its blessing was withheld or an earlier result can be taken over."""
    if not (artifacts := input_dict.get(BLESSING)):
        run()
        return
    if not model_utils.is_model_blessed(artifact_utils.get_single_instance(artifacts)):
        logger.info("%s: skipped, the recipe was not blessed", stage)
        _write(output_dict, SKIPPED_FILE, "the recipe was not blessed\n")
        return
    key = _key(input_dict, exec_properties)
    if (earlier := _earlier(output_dict, key)) is not None:
        logger.info("%s: an earlier result of the same inputs is taken over", stage)
        for artifact, folder in earlier:
            io_utils.copy_dir(folder, artifact.uri)
        return
    run()
    _write(output_dict, KEY_FILE, key)


def _key(input_dict: Artifacts, exec_properties: Mapping[str, Any]) -> str:
    """Sixteen hex digits over properties and inputs: places, or keys where those have one."""
    inputs = {
        name: [_read(f"{artifact.uri}/{KEY_FILE}") or artifact.uri for artifact in artifacts]
        for name, artifacts in input_dict.items()
        if name != BLESSING
    }
    text = json.dumps([inputs, dict(exec_properties)], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _earlier(output_dict: Artifacts, key: str) -> list[tuple[types.Artifact, str]] | None:
    """Each output and the folder of an earlier execution with this key, if there is one."""
    outputs = [artifact for artifacts in output_dict.values() for artifact in artifacts]
    parents = [os.path.dirname(artifact.uri.rstrip("/")) for artifact in outputs]
    names = fileio.listdir(parents[0]) if fileio.exists(parents[0]) else []
    for name in sorted((name.rstrip("/") for name in names), reverse=True):
        folders = [f"{parent}/{name}" for parent in parents]
        if all(_read(f"{folder}/{KEY_FILE}") == key for folder in folders):
            return list(zip(outputs, folders, strict=True))
    return None


def _read(path: str) -> str:
    if not fileio.exists(path):
        return ""
    with fileio.open(path, "r") as file:
        return str(file.read())


def _write(output_dict: Artifacts, name: str, text: str) -> None:
    for artifacts in output_dict.values():
        for artifact in artifacts:
            fileio.makedirs(artifact.uri)
            with fileio.open(f"{artifact.uri}/{name}", "w") as file:
                file.write(text)
