"""How the driver resolves a task's inputs and provides for its outputs."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import Any

OUTPUT_FILE = "/tmp/kfp_outputs/output_metadata.json"
KINDS = {
    "STRING": str,
    "NUMBER_INTEGER": (int, float),
    "NUMBER_DOUBLE": (int, float),
    "BOOLEAN": bool,
    "LIST": list,
    "STRUCT": dict,
}


class DriverError(Exception):
    """The driver stops the task."""


@dataclass
class Dag:
    """One DAG while it runs.

    Attributes:
      parameters: what the DAG's tasks may refer to as their component's inputs.
      outputs: task -> output -> artifact, as recorded after the task.
      states: task -> SUCCEEDED or FAILED.
    """

    parameters: dict[str, Any]
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """Identity of the run.

    Attributes:
      root: where outputs go: `<pipeline root>/<pipeline>/<run id>`.
      knows_final_status: whether the back end resolves final statuses.
    """

    run_id: str
    name: str
    root: str
    knows_final_status: bool


def resolve_inputs(
    task: dict[str, Any], component: dict[str, Any], dag: Dag, run: Run
) -> dict[str, Any]:
    """`ExecutorInput.Inputs` of a task."""
    inputs = task.get("inputs", {})
    values = {
        name: _parameter(source, dag, run, task)
        for name, source in inputs.get("parameters", {}).items()
    }
    _check_types(values, component)
    artifacts = {
        name: {"artifacts": [_artifact(source, dag)]}
        for name, source in inputs.get("artifacts", {}).items()
    }
    return {"parameterValues": values, "artifacts": artifacts}


def provide_outputs(
    task_name: str, component: dict[str, Any], run: Run, with_logs: bool
) -> dict[str, Any]:
    """`ExecutorInput.Outputs` of a task; `with_logs` adds the log, as some back ends do."""
    salt = str(uuid.uuid4())
    definitions = dict(component.get("outputDefinitions", {}).get("artifacts", {}))
    if with_logs:
        definitions["executor-logs"] = {"artifactType": {"schemaTitle": "system.Artifact"}}
    artifacts = {
        name: {
            "artifacts": [
                {
                    "uri": f"{run.root}/{task_name}/{salt}/{name}",
                    "type": definition["artifactType"],
                    "metadata": definition.get("metadata", {}),
                }
            ]
        }
        for name, definition in definitions.items()
    }
    return {"artifacts": artifacts, "outputFile": OUTPUT_FILE}


def _parameter(source: dict[str, Any], dag: Dag, run: Run, task: dict[str, Any]) -> Any:
    if "componentInputParameter" in source:
        name = source["componentInputParameter"]
        if name not in dag.parameters:
            raise DriverError(f"parent DAG does not have input parameter {name}")
        return dag.parameters[name]
    if "runtimeValue" in source:
        constant = source["runtimeValue"]["constant"]
        known = {
            "{{$.pipeline_job_uuid}}": run.run_id,
            "{{$.pipeline_job_name}}": run.name,
            "{{$.pipeline_task_name}}": task["taskInfo"]["name"],
        }
        return known.get(constant, constant) if isinstance(constant, str) else constant
    if "taskFinalStatus" in source and run.knows_final_status:
        if not task.get("dependentTasks"):
            raise DriverError("task has no dependent tasks")
        producer = task["dependentTasks"][0]
        error = {"message": f"task {producer} failed"}
        failed = dag.states[producer] == "FAILED"
        return {
            "state": dag.states[producer],
            "pipelineJobResourceName": run.name,
            "pipelineTaskName": producer,
            **({"error": error} if failed else {}),
        }
    raise DriverError(f"parameter spec {sorted(source)} not implemented yet")


def _artifact(source: dict[str, Any], dag: Dag) -> dict[str, Any]:
    if "taskOutputArtifact" not in source:
        raise DriverError("artifact spec not implemented yet")
    producer = source["taskOutputArtifact"]["producerTask"]
    if producer not in dag.outputs:
        raise DriverError(f"cannot find producer task {producer!r}")
    output = source["taskOutputArtifact"]["outputArtifactKey"]
    return from_metadata_store(dag.outputs[producer][output], output)


def from_metadata_store(artifact: dict[str, Any], output: str) -> dict[str, Any]:
    """An artifact as later steps are given it.

    The store keeps title and metadata; on the way back the type is an empty schema, truth values
    are numbers, and lists and objects are wrapped.
    """
    metadata = {name: _stored_value(value) for name, value in artifact["metadata"].items()}
    added = {"display_name": output, "store_session_info": "{}"}
    return {**artifact, "type": {"instanceSchema": ""}, "metadata": added | metadata}


def _stored_value(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, (dict, list)):
        return {"struct" if isinstance(value, dict) else "list": value}
    return value


def _check_types(values: dict[str, Any], component: dict[str, Any]) -> None:
    for name, spec in component.get("inputDefinitions", {}).get("parameters", {}).items():
        if name not in values:
            if not spec.get("isOptional") and "defaultValue" not in spec:
                raise DriverError(f"neither value nor default for non-optional parameter {name!r}")
            continue
        value, kind = values[name], spec["parameterType"]
        if value is None:
            raise DriverError(f"got null for input parameter {name!r}")
        if kind == "STRING":
            values[name] = value if isinstance(value, str) else json.dumps(value)
        elif not isinstance(value, KINDS[kind]) or (isinstance(value, bool) and kind != "BOOLEAN"):
            raise DriverError(f"input parameter {name!r} type mismatch: expect {kind}")
