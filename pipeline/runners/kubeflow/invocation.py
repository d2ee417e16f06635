"""What a step is called with, and what it answers, as TFX's executors and Kubeflow take them.

Both are protocol messages in JSON: `ExecutorInput` (`{{$}}` in a container's arguments) and
`ExecutorOutput` (the file that the executor writes).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from pipeline.runners.kubeflow.targets import VERTEX, Target
from pipeline.runners.kubeflow.uris import artifacts_of, bucket_of, to_local, to_remote

Json = dict[str, Any]

RUN_ID = "run_id"
LOG_OUTPUT = "executor-logs"
UNRESOLVED = "{{$."
"""How a placeholder begins that no one has replaced."""


def localised(invocation: Json, target: Target) -> Json:
    """A copy whose artifacts are where this container has their files.

    The place for the container's log, which a back end may put among the outputs, is left out:
    it is the launcher's and of a type that TFX cannot read.
    """
    copy = deepcopy(invocation)
    copy.get("outputs", {}).get("artifacts", {}).pop(LOG_OUTPUT, None)
    for side in ("inputs", "outputs"):
        for artifact in artifacts_of(copy.get(side, {})):
            if "uri" in artifact:
                artifact["uri"] = to_local(artifact["uri"], target)
    return copy


def with_declared_types(invocation: Json, inputs_spec: Json) -> Json:
    """A copy whose input artifacts have the types that the compiled pipeline states.

    They are lost between steps: Kubeflow's driver gives an empty schema, kfp.local its own base
    type.

    Args:
      inputs_spec: `ComponentInputsSpec`.
    """
    copy = deepcopy(invocation)
    declared = inputs_spec.get("artifacts", {})
    for name, entry in copy.get("inputs", {}).get("artifacts", {}).items():
        for artifact in entry.get("artifacts", []):
            if name in declared:
                artifact["type"] = declared[name]["artifactType"]
    return copy


def with_plain_parameters(invocation: Json, run_id: str) -> Json:
    """A copy with parameters as TFX's executors read them.

    Nulls are left out, objects become JSON text, and a run's id that the back end has not filled
    in becomes `run_id`.
    """
    copy = deepcopy(invocation)
    values = copy.get("inputs", {}).get("parameterValues", {})
    for name, value in list(values.items()):
        if value is None:
            del values[name]
        elif isinstance(value, (dict, list)):
            values[name] = json.dumps(value)
        elif name == RUN_ID and str(value).startswith(UNRESOLVED):
            values[name] = run_id
    return copy


def run_id_of(invocation: Json, environment: Mapping[str, str], variable: str) -> str:
    """The run's id from the environment, or from where the outputs are to go.

    Kubeflow puts outputs under `<root>/<pipeline>/<run id>/<task>/<id>/<output>`.
    """
    if run_id := environment.get(variable):
        return run_id
    uris = [a["uri"] for a in artifacts_of(invocation.get("outputs", {})) if "uri" in a]
    parts = uris[0].split("/") if uris else []
    return parts[-4] if len(parts) > 4 else ""


def answered(answer: Json, invocation: Json, target: Target) -> Json:
    """A copy of an executor's answer, with the bucket's URIs again and without nulls.

    Kubeflow would take a local path for the artifact's place and leave its files behind; it stops
    at a null.
    """
    sides = [invocation.get(side, {}) for side in ("inputs", "outputs")]
    uris = [a["uri"] for side in sides for a in artifacts_of(side) if "uri" in a]
    named = {bucket_of(uri) for uri in uris} - {None}
    buckets = frozenset(b for b in named if b and not (target == VERTEX and b.startswith("gs://")))
    copy = deepcopy(answer)
    for artifact in artifacts_of(copy):
        if "uri" in artifact:
            artifact["uri"] = to_remote(artifact["uri"], buckets)
        if "metadata" in artifact:
            artifact["metadata"] = {
                key: to_remote(value, buckets) if isinstance(value, str) else value
                for key, value in artifact["metadata"].items()
                if value is not None
            }
    return copy
