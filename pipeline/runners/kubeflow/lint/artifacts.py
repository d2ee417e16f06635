"""Rules on the artifacts that steps hand on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tfx.orchestration.kubeflow.v2.compiler_utils import TITLE_TO_CLASS_PATH

from pipeline.runners.kubeflow.artifact_types import CLASS_PATHS, title_of
from pipeline.runners.kubeflow.compiled import Compiled
from pipeline.runners.kubeflow.postprocess import HTML


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
