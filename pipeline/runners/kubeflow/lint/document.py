"""Rules on the document as a whole, and on the types of artifacts that it names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tfx.orchestration.kubeflow.v2.compiler_utils import TITLE_TO_CLASS_PATH

from pipeline.runners.kubeflow.artifact_types import CLASS_PATHS, title_of
from pipeline.runners.kubeflow.compiled import Compiled
from pipeline.runners.kubeflow.postprocess import HTML
from pipeline.runners.kubeflow.targets import KFP

SCHEMA_VERSION = "2.1.0"
ROOTS = {"kfp": ("minio://", "s3://", "gs://"), "vertex": ("gs://",)}


def schema_version(compiled: Compiled) -> Iterator[str]:
    """Open-source Kubeflow takes exactly 2.1.0; TFX writes 2.0.0 unless told otherwise."""
    seen = compiled.spec.get("schemaVersion")
    if seen != SCHEMA_VERSION:
        yield f"schemaVersion: seen {seen!r}, wanted {SCHEMA_VERSION!r}"


def pipeline_root(compiled: Compiled) -> Iterator[str]:
    """The launcher opens object stores only; a path is an unknown scheme to it."""
    wanted = ROOTS[compiled.target]
    if not compiled.pipeline_root.startswith(wanted):
        yield f"seen {compiled.pipeline_root!r}, wanted one that begins with {' or '.join(wanted)}"


def parameter_defaults(compiled: Compiled) -> Iterator[str]:
    """TFX drops the defaults of runtime parameters; a run that leaves one out is then refused."""
    definitions = compiled.spec["root"].get("inputDefinitions", {}).get("parameters", {})
    for name, definition in definitions.items():
        if definition.get("defaultValue") is None and not definition.get("isOptional"):
            yield f"parameter {name!r} has no default"


def no_nulls(compiled: Compiled) -> Iterator[str]:
    """The driver stops at a null that is not an optional parameter's."""
    yield from _nulls(compiled.spec, "spec")
    if compiled.target == KFP and compiled.platform is not None:
        yield from _nulls(compiled.platform, "platform")


def _nulls(value: Any, place: str) -> Iterator[str]:
    if value is None:
        yield f"{place} is null; leave it out"
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _nulls(inner, f"{place}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _nulls(inner, f"{place}[{index}]")


def known_types(compiled: Compiled) -> Iterator[str]:
    """A step imports the class that an artifact's title names; an unknown one fails at run time."""
    known = {*TITLE_TO_CLASS_PATH, *CLASS_PATHS}
    for place, kind in _types(compiled):
        if (title := title_of(kind)) not in known:
            yield f"{place}: no class is known for artifacts of type {title!r}"


def shown_html(compiled: Compiled) -> Iterator[str]:
    """The pages of Kubeflow show artifacts whose `schemaTitle` is `system.HTML`."""
    for place, kind in _types(compiled):
        if title_of(kind) == HTML and "schemaTitle" not in kind:
            yield f"{place}: HTML by instanceSchema, wanted schemaTitle {HTML!r}"


def _types(compiled: Compiled) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, component in compiled.spec["components"].items():
        for side in ("inputDefinitions", "outputDefinitions"):
            for key, artifact in component.get(side, {}).get("artifacts", {}).items():
                yield f"{name}.{key}", artifact["artifactType"]
