"""Turns what TFX's compiler writes into what Kubeflow's API server, driver and launcher take.

Each function changes a pipeline spec (schema 2.1, as plain dicts in JSON names) in place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml

Spec = dict[str, Any]

DAG_TASK = "tfx-dag"
"""The task that TFX puts all others under when there is an exit handler."""
COMPONENT_PREFIX = "comp-"
EXECUTOR_PREFIX = "exec-"
TFX_EXECUTOR_SUFFIX = "_executor"
HTML = "system.HTML"


def dags(spec: Spec) -> Iterator[tuple[Spec, Spec]]:
    """Each component that is a DAG, the root first, with its tasks by name."""
    for component in (spec["root"], *spec["components"].values()):
        if "dag" in component:
            yield component, component["dag"]["tasks"]


def all_tasks(spec: Spec) -> dict[str, Spec]:
    """Tasks of all DAGs by name."""
    return {name: task for _, tasks in dags(spec) for name, task in tasks.items()}


def set_defaults(spec: Spec, defaults: Mapping[str, str | int | float]) -> None:
    """Gives the root's parameters the defaults that TFX drops, without which they are required."""
    for name, parameter in _root_parameters(spec).items():
        if name in defaults:
            parameter["defaultValue"] = defaults[name]


def hand_down_parameters(spec: Spec) -> None:
    """Hands the root's parameters to the DAG below it.

    With an exit handler TFX moves the tasks one level down and leaves their parameters behind, so
    that the driver finds no value for them.
    """
    inner = spec["root"]["dag"]["tasks"].get(DAG_TASK)
    if inner is None:
        return
    component = spec["components"][inner["componentRef"]["name"]]
    tasks = component["dag"]["tasks"].values()
    wanted = {
        source["componentInputParameter"]
        for task in tasks
        for source in task.get("inputs", {}).get("parameters", {}).values()
        if "componentInputParameter" in source
    }
    if not wanted:
        return
    definitions = {
        name: {"parameterType": parameter["parameterType"]}
        for name, parameter in _root_parameters(spec).items()
        if name in wanted
    }
    component["inputDefinitions"] = {"parameters": definitions}
    inner["inputs"] = {
        "parameters": {name: {"componentInputParameter": name} for name in sorted(definitions)}
    }


def prefix_names(spec: Spec) -> None:
    """`comp-<task>` and `exec-<task>`: readers of specs cut such a prefix off without looking."""
    components = {name: _prefixed(COMPONENT_PREFIX, name) for name in spec["components"]}
    executors = {
        label: _prefixed(EXECUTOR_PREFIX, label.removesuffix(TFX_EXECUTOR_SUFFIX))
        for label in spec["deploymentSpec"]["executors"]
    }
    spec["components"] = {components[name]: c for name, c in spec["components"].items()}
    for component in spec["components"].values():
        if "executorLabel" in component:
            component["executorLabel"] = executors[component["executorLabel"]]
    deployment = spec["deploymentSpec"]
    deployment["executors"] = {executors[k]: e for k, e in deployment["executors"].items()}
    for _, tasks in dags(spec):
        for task in tasks.values():
            task["componentRef"]["name"] = components[task["componentRef"]["name"]]


def drop_caching(spec: Spec, tasks: Iterable[str]) -> None:
    """Makes tasks run every time: those that read or write what no artifact tells of."""
    uncached = set(tasks)
    for name, task in all_tasks(spec).items():
        if name in uncached:
            task.pop("cachingOptions", None)


def set_retries(spec: Spec, retries: Mapping[str, int]) -> None:
    """Task name -> further attempts when it fails."""
    for name, task in all_tasks(spec).items():
        if count := retries.get(name, 0):
            task["retryPolicy"] = {"maxRetryCount": count}


def title_html(spec: Spec) -> None:
    """States HTML artifacts by the title that the pages of Kubeflow look for."""
    for component in (spec["root"], *spec["components"].values()):
        for side in ("inputDefinitions", "outputDefinitions"):
            for artifact in component.get(side, {}).get("artifacts", {}).values():
                schema = artifact["artifactType"].get("instanceSchema")
                if schema and yaml.safe_load(schema).get("title") == HTML:
                    artifact["artifactType"] = {"schemaTitle": HTML, "schemaVersion": "0.0.1"}


def _prefixed(prefix: str, name: str) -> str:
    return name if name.startswith(prefix) else prefix + name


def _root_parameters(spec: Spec) -> dict[str, Spec]:
    parameters: dict[str, Spec] = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    return parameters
