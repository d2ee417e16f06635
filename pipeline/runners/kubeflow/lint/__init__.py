"""Checks a compiled pipeline for what would only show on the cluster, and often late or silently.

A rule is a function from a compiled pipeline to its complaints, one line each: where, what was
seen, what is wanted. Its docstring says what the back end does otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pipeline.runners.kubeflow.compiled import Compiled
from pipeline.runners.kubeflow.lint import containers, document, graph
from schemas.errors import InputError

Rule = Callable[[Compiled], Iterator[str]]

RULES: tuple[Rule, ...] = (
    document.schema_version,
    document.pipeline_root,
    document.parameter_defaults,
    document.no_nulls,
    graph.task_names,
    graph.component_names,
    graph.parameters_arrive,
    graph.producers_exist,
    graph.exit_handlers,
    containers.no_resolvers,
    containers.no_pre_cache_checks,
    containers.entrypoints,
    containers.no_built_wheels,
    containers.no_stale_cache,
    containers.resources_kept,
    containers.accelerators,
    containers.lasting_folders,
    document.known_types,
    document.shown_html,
)


def complaints(compiled: Compiled) -> list[str]:
    """All that the rules have to say, each with its rule's name in front."""
    return [f"{rule.__name__}: {text}" for rule in RULES for text in rule(compiled)]


def require_sound(compiled: Compiled) -> None:
    """Raises InputError: a rule is broken; the message lists every complaint."""
    if problems := complaints(compiled):
        lines = "\n  ".join(problems)
        raise InputError(f"the compiled pipeline would not run on {compiled.target}:\n  {lines}")
