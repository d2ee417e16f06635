"""Where a finished run's artifacts lie, by the metadata store of its output folder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from common.as_of import resolve_as_of
from common.files.local import read_local_json
from common.runs.files import RunFile
from common.versions.manifest import Manifest
from pipeline.config import PipelineConfig
from pipeline.runs.history import find_run
from pipeline.runs.store import STORE_FILE, place_here, refuse_broken
from schemas.checked import checked, first_problem
from schemas.errors import InputError

WANTED = {
    "labelled_columns": ("TaskLabeler", "labelled_columns"),
    "task_assignments": ("TaskLabeler", "task_assignments"),
    "transform_graph": ("Transform", "transform_graph"),
    "served_transform_graph": ("ServedTransform", "transform_graph"),
    "examples": ("ClickLogGen", "examples"),
}
"""Folder -> the node that makes it, and its output."""

OPTIONAL = ("served_transform_graph", "examples")


@dataclass(frozen=True)
class RunArtifacts:
    """A finished run as later studies need it.

    Attributes:
      config: what it was run with.
      as_of: the day it ran for.
      labelled_columns, task_assignments, transform_graph: folders.
      served_transform_graph: folder; none where no served fit was made.
      examples: folder of the click log's examples; none where another component read the log.
    """

    run_id: str
    config: PipelineConfig
    as_of: date
    labelled_columns: str
    task_assignments: str
    transform_graph: str
    served_transform_graph: str | None
    examples: str | None


def find_artifacts(out: Path, run_id: str | None) -> RunArtifacts:
    """The artifacts of the run named, or of the newest finished one.

    Raises:
      InputError: there is no such run, its config is not one of this version, or its artifacts
        are gone.
    """
    folder = find_run(out, run_id)
    source = folder / RunFile.MANIFEST
    manifest = checked(Manifest, read_local_json(source), str(source))
    try:
        config = PipelineConfig.model_validate(manifest.config)
    except ValidationError as error:
        raise InputError(
            f"{source}: config: {first_problem(error)}; wanted a run of this version of hardtower"
        ) from error
    return artifacts_of(out, folder.name, config, resolve_as_of(manifest.data.as_of))


def artifacts_of(out: Path, run_id: str, config: PipelineConfig, as_of: date) -> RunArtifacts:
    """The artifacts of a run that the store of an output folder knows.

    Raises:
      InputError: it does not, or they are gone.
    """
    folders = _outputs(out / STORE_FILE, run_id)
    for name, (node, output) in WANTED.items():
        if name in OPTIONAL and name not in folders:
            continue
        if name not in folders or not Path(folders[name]).is_dir():
            raise InputError(
                f"{out / STORE_FILE}: run {run_id} has no {output} of {node} on "
                "this disk; wanted the output folder of a local run with its artifacts"
            )
    return RunArtifacts(
        run_id,
        config,
        as_of,
        folders["labelled_columns"],
        folders["task_assignments"],
        folders["transform_graph"],
        folders.get("served_transform_graph"),
        folders.get("examples"),
    )


def assignments_of(out: Path, run_id: str) -> Path:
    """Folder of the TaskAssignments of a run that has come so far."""
    return Path(_outputs(out / STORE_FILE, run_id)["task_assignments"])


def _outputs(store: Path, run_id: str) -> dict[str, str]:
    """Those of the folders in `WANTED` that a run has made."""
    from ml_metadata.metadata_store import metadata_store
    from ml_metadata.proto import metadata_store_pb2

    refuse_broken(store)
    connection = metadata_store_pb2.ConnectionConfig()
    connection.sqlite.filename_uri = str(store)
    connection.sqlite.connection_mode = metadata_store_pb2.SqliteMetadataSourceConfig.READONLY
    handle = metadata_store.MetadataStore(connection)
    context = handle.get_context_by_type_and_name("pipeline_run", run_id)
    if context is None:
        raise InputError(f"{store}: holds no run {run_id!r}; wanted the store that it ran with")
    executions: list[Any] = handle.get_executions_by_context(context.id)
    nodes = {e.id: _node(handle.get_contexts_by_execution(e.id)) for e in executions}
    events = handle.get_events_by_execution_ids(list(nodes))
    names = {place: name for name, place in WANTED.items()}
    made = [
        (names[place], event.artifact_id)
        for event in events
        if event.type == metadata_store_pb2.Event.OUTPUT
        and (place := (nodes[event.execution_id], event.path.steps[0].key)) in names
    ]
    artifacts = handle.get_artifacts_by_id([number for _, number in made])
    uris = {a.id: place_here(store.parent, str(a.uri)) for a in artifacts}
    return {name: uris[number] for name, number in made}


def _node(contexts: Iterable[Any]) -> str | None:
    """Id of the DAG's node that an execution is of: TFX names a context `<pipeline>.<node>`."""
    return next((c.name.rsplit(".", 1)[-1] for c in contexts if c.type == "node"), None)
