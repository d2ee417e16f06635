"""Rules on tasks, components and what passes between them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pipeline.runners.kubeflow.compiled import Compiled
from pipeline.runners.kubeflow.postprocess import COMPONENT_PREFIX, dags

TASK_NAME = re.compile(r"[a-zA-Z0-9][-a-zA-Z0-9]*")
ALWAYS = "ALL_UPSTREAM_TASKS_COMPLETED"


def task_names(compiled: Compiled) -> Iterator[str]:
    """Task names become parts of names of Kubernetes objects; `_` and `.` are refused."""
    for _, tasks in dags(compiled.spec):
        for name in tasks:
            if not TASK_NAME.fullmatch(name):
                yield f"task {name!r}: wanted letters, digits and -"


def component_names(compiled: Compiled) -> Iterator[str]:
    """Readers of specs cut five characters off a component's name; every reference must hold."""
    components = compiled.spec["components"]
    executors = compiled.spec["deploymentSpec"]["executors"]
    for name, component in components.items():
        if not name.startswith(COMPONENT_PREFIX):
            yield f"component {name!r}: wanted a name that begins with {COMPONENT_PREFIX!r}"
        label = component.get("executorLabel")
        if "dag" not in component and label not in executors:
            yield f"component {name!r}: no executor {label!r}"
    for _, tasks in dags(compiled.spec):
        for name, task in tasks.items():
            if (seen := task["componentRef"]["name"]) not in components:
                yield f"task {name!r}: no component {seen!r}"


def parameters_arrive(compiled: Compiled) -> Iterator[str]:
    """A task may name only what its DAG declares, and each DAG must be handed what it declares.

    TFX forgets both for the DAG that it makes below an exit handler.
    """
    components = compiled.spec["components"]
    for dag, tasks in dags(compiled.spec):
        declared = _parameters(dag, "inputDefinitions")
        for name, task in tasks.items():
            given = _parameters(task, "inputs")
            for parameter, source in given.items():
                wanted = source.get("componentInputParameter")
                if wanted is not None and wanted not in declared:
                    yield f"task {name!r}: {parameter!r} is to be {wanted!r}, which its DAG lacks"
            component = components.get(task["componentRef"]["name"], {})
            for parameter, definition in _parameters(component, "inputDefinitions").items():
                optional = definition.get("isOptional") or "defaultValue" in definition
                if parameter not in given and not optional:
                    yield f"task {name!r}: nothing for parameter {parameter!r}"


def producers_exist(compiled: Compiled) -> Iterator[str]:
    """An input must come from an output of a task of the same DAG that is waited for.

    TFX's compiler takes exec properties that are another node's output for outputs of a task that
    it never makes.
    """
    components = compiled.spec["components"]
    for _, tasks in dags(compiled.spec):
        for name, task in tasks.items():
            awaited = set(task.get("dependentTasks", []))
            for missing in sorted(awaited - set(tasks)):
                yield f"task {name!r}: waits for {missing!r}, which does not exist"
            for key, producer, output in _sources(task):
                if producer not in tasks:
                    yield f"task {name!r}: {key!r} comes from {producer!r}, which does not exist"
                    continue
                made = components.get(tasks[producer]["componentRef"]["name"], {})
                definitions = made.get("outputDefinitions", {})
                if not any(output in definitions.get(k, {}) for k in ("artifacts", "parameters")):
                    yield f"task {name!r}: {key!r}: {producer!r} has no output {output!r}"
                elif producer not in awaited:
                    yield f"task {name!r}: {key!r} comes from {producer!r}, which is not waited for"


def exit_handlers(compiled: Compiled) -> Iterator[str]:
    """A final status is known of the first task waited for, to a task that runs in any case."""
    for _, tasks in dags(compiled.spec):
        for name, task in tasks.items():
            always = task.get("triggerPolicy", {}).get("strategy") == ALWAYS
            for parameter, source in _parameters(task, "inputs").items():
                if "taskFinalStatus" not in source:
                    continue
                first = (task.get("dependentTasks") or [None])[0]
                if not always or source["taskFinalStatus"].get("producerTask") != first:
                    yield (
                        f"task {name!r}: {parameter!r} is a final status; wanted in an exit "
                        "handler, of the one task that it waits for"
                    )
            if always and task.get("inputs", {}).get("artifacts"):
                yield f"task {name!r}: an exit handler has artifacts as inputs; there may be none"


def _parameters(holder: dict[str, Any], side: str) -> dict[str, Any]:
    parameters: dict[str, Any] = holder.get(side, {}).get("parameters", {})
    return parameters


def _sources(task: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Input, producing task and output of each input that another task makes."""
    for key, source in task.get("inputs", {}).get("artifacts", {}).items():
        if (output := source.get("taskOutputArtifact")) is not None:
            yield key, output["producerTask"], output["outputArtifactKey"]
    for key, source in _parameters(task, "inputs").items():
        if (output := source.get("taskOutputParameter")) is not None:
            yield key, output["producerTask"], output["outputParameterKey"]
