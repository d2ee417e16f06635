"""What the API server refuses, and how it fills in parameters."""

from __future__ import annotations

import re
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2 as pb

SCHEMA_VERSION = "2.1.0"
TASK_NAME = re.compile(r"[a-zA-Z0-9][-a-zA-Z0-9]*")
ROOTS = ("gs://", "s3://", "minio://", "mem://")


class RefusedError(Exception):
    """The run would not start."""


def accept(spec: dict[str, Any], pipeline_root: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Checks a spec and a run's parameters.

    Returns:
      All parameters of the root, defaults filled in.
    """
    try:
        json_format.ParseDict(spec, pb.PipelineSpec())
    except json_format.ParseError as error:
        raise RefusedError(f"invalid spec: {error}") from error
    if (seen := spec.get("schemaVersion")) != SCHEMA_VERSION:
        raise RefusedError(f"only schema version {SCHEMA_VERSION} is supported, got {seen}")
    if not pipeline_root.startswith(ROOTS):
        raise RefusedError(f"unsupported pipeline root {pipeline_root}")
    for executor in spec["deploymentSpec"]["executors"].values():
        if "resolver" in executor:
            raise RefusedError("resolver executors not implemented")
    for component in (spec["root"], *spec["components"].values()):
        for name, task in component.get("dag", {}).get("tasks", {}).items():
            if not TASK_NAME.fullmatch(name):
                raise RefusedError(f"task name {name!r} is not valid")
            if task["componentRef"]["name"] not in spec["components"]:
                raise RefusedError(f"task {name!r}: no such component")
    declared = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    if unknown := sorted(set(parameters) - set(declared)):
        raise RefusedError(f"unknown parameters {unknown}")
    values: dict[str, Any] = {}
    for name, definition in declared.items():
        if name in parameters:
            values[name] = parameters[name]
        elif "defaultValue" in definition:
            values[name] = definition["defaultValue"]
        elif not definition.get("isOptional"):
            raise RefusedError(
                f"parameter {name} is not optional, yet has neither value nor default"
            )
    return values
