"""Rules on the containers that steps run in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from pipeline.runners.kubeflow.compiled import Compiled
from pipeline.runners.kubeflow.postprocess import all_tasks
from pipeline.runners.kubeflow.targets import ENTRYPOINT, KFP, UNCACHED

WHEELS = ("module_file", "module_path")
RESOURCES = {
    "cpu": "cpuLimit",
    "cpu_request": "cpuRequest",
    "memory_gb": "memoryLimit",
    "memory_request_gb": "memoryRequest",
    "gpu": "accelerator",
}
"""Setting of a step -> key of the executor's resources."""


def no_resolvers(compiled: Compiled) -> Iterator[str]:
    """No release of open-source Kubeflow runs a resolver."""
    for label, executor in _executors(compiled).items():
        if "resolver" in executor:
            yield f"{label}: a Resolver; wanted a step of its own, as LastBlessed is"


def no_pre_cache_checks(compiled: Compiled) -> Iterator[str]:
    """TFX puts the driver of file-based ExampleGens there; Kubeflow never runs it."""
    for label, container in _containers(compiled):
        if "preCacheCheck" in container.get("lifecycle", {}):
            yield f"{label}: lifecycle.preCacheCheck is ignored; wanted an executor that needs none"


def entrypoints(compiled: Compiled) -> Iterator[str]:
    """TFX's own entry point writes to the artifact's URI, for which it has no file system.

    The launcher uploads what lies in the folder of a bucket, and says nothing when that is empty.
    """
    for label, container in _containers(compiled):
        if container.get("command", [])[: len(ENTRYPOINT)] != list(ENTRYPOINT):
            yield f"{label}: command {container.get('command')}, wanted {' '.join(ENTRYPOINT)}"
        if not container.get("image"):
            yield f"{label}: no image"
        if "{{$}}" not in container.get("args", []):
            yield f"{label}: the arguments lack {{{{$}}}}, by which a step learns its inputs"


def no_built_wheels(compiled: Compiled) -> Iterator[str]:
    """TFX builds a wheel of a module file, with pip, into the pipeline root while compiling."""
    for name, task in all_tasks(compiled.spec).items():
        for key in WHEELS:
            if key in task.get("inputs", {}).get("parameters", {}):
                yield f"task {name!r}: {key} is set; pass functions by their dotted names"


def no_stale_cache(compiled: Compiled) -> Iterator[str]:
    """A cache key knows a step's inputs and arguments, not the log and not the push folder."""
    for name, task in all_tasks(compiled.spec).items():
        if name in UNCACHED and task.get("cachingOptions", {}).get("enableCache"):
            yield f"task {name!r} reads or writes outside of its artifacts and may not be cached"


def resources_kept(compiled: Compiled) -> Iterator[str]:
    """TFX ignores the resources of file-based ExampleGens without a word."""
    containers = dict(_containers(compiled))
    for label, step in compiled.steps.items():
        resources = containers.get(label, {}).get("resources", {})
        for setting, key in RESOURCES.items():
            if getattr(step, setting) is not None and key not in resources:
                yield f"{label}: {setting} is set, and {key} is not there"


def accelerators(compiled: Compiled) -> Iterator[str]:
    """Kubernetes names a resource (`nvidia.com/gpu`), Vertex AI a type (`NVIDIA_TESLA_T4`)."""
    for label, container in _containers(compiled):
        kind = container.get("resources", {}).get("accelerator", {}).get("type")
        if kind is not None and ("/" in kind) != (compiled.target == KFP):
            wanted = "nvidia.com/gpu" if compiled.target == KFP else "NVIDIA_TESLA_T4"
            yield f"{label}: accelerator {kind!r}, wanted one such as {wanted!r}"


def lasting_folders(compiled: Compiled) -> Iterator[str]:
    """What a step writes outside of its artifacts goes with its pod, unless a volume holds it."""
    if compiled.platform is None:
        return
    configs = compiled.platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    for label, folders in compiled.lasting.items():
        mounts = [m["mountPath"] for m in configs.get(label, {}).get("pvcMount", [])]
        for folder in folders:
            if not any(PurePosixPath(folder).is_relative_to(mount) for mount in mounts):
                seen = ", ".join(mounts) or "none"
                yield f"{label}: {folder} is on no volume (mounted: {seen})"


def _executors(compiled: Compiled) -> dict[str, dict[str, Any]]:
    executors: dict[str, dict[str, Any]] = compiled.spec["deploymentSpec"]["executors"]
    return executors


def _containers(compiled: Compiled) -> Iterator[tuple[str, dict[str, Any]]]:
    for label, executor in _executors(compiled).items():
        if "container" in executor:
            yield label, executor["container"]
