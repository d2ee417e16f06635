"""One version in memory: its models and its routing table, checked to belong together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from common.routing.table import RoutingTable
from common.versions.digest import check_sums, model_digest
from common.versions.manifest import Manifest
from common.versions.reference import MANIFEST, ONE_TASK_DIRECTORY
from schemas.checked import checked_json
from schemas.errors import InputError
from service.models.inputs import InputSchema, missing
from service.models.scorer import Scorer


@dataclass(frozen=True)
class Models:
    """The two models of a version."""

    hard: Scorer
    one_task: Scorer


OpenModels = Callable[[int, Path, InputSchema], Models]
"""Opens the models of a version, given its number, its folder and their inputs."""


@dataclass(frozen=True)
class Bundle:
    """Everything of one version."""

    manifest: Manifest
    table: RoutingTable
    schema: InputSchema
    models: Models


def read_manifest(version: Path) -> Manifest:
    """The manifest of a version.

    Raises:
      InputError: it is missing or broken.
    """
    file = version / MANIFEST
    try:
        text = file.read_bytes()
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}") from None
    return checked_json(Manifest, text, str(file))


def check_files(version: Path, manifest: Manifest) -> None:
    """Proves that every file is there as it was pushed.

    Raises:
      InputError: the one-task model is missing, or a file is other than at the push.
    """
    if not manifest.one_task_digest:
        raise InputError(
            f"{version}: no one-task model; wanted one at {ONE_TASK_DIRECTORY} for candidates "
            "that are not hard"
        )
    if manifest.summed:
        check_sums(version)
        return
    wanted = {version: manifest.model_digest}
    wanted[version / ONE_TASK_DIRECTORY] = manifest.one_task_digest
    for model, digest in wanted.items():
        if (seen := model_digest(model)) != digest:
            raise InputError(f"{model}: files with digest {seen}; wanted {digest}, as pushed")


def load_bundle(
    number: int,
    version: Path,
    open_models: OpenModels,
    read_schema: Callable[[Path], InputSchema],
    wanted: InputSchema | None = None,
) -> Bundle:
    """Reads and checks a version.

    Args:
      number: the version's number.
      version: its folder.
      open_models: opens its models.
      read_schema: reads the inputs of a SavedModel.
      wanted: the inputs that it must have; None takes any.

    Raises:
      InputError: a file is missing or changed; model, routing table and manifest are of different
        assignments; or the inputs are not those wanted.
      ScoringError: a model does not answer.
    """
    manifest = read_manifest(version)
    check_files(version, manifest)
    table = RoutingTable.load(version)
    if table.assignment_id != manifest.assignment_id:
        raise InputError(
            f"{version}: routing table of assignment {table.assignment_id!r}; wanted "
            f"{manifest.assignment_id!r}, the models' own"
        )
    schema = read_schema(version)
    if difference := read_schema(version / ONE_TASK_DIRECTORY).difference(schema):
        raise InputError(f"{version / ONE_TASK_DIRECTORY}: {difference}, unlike the hard tower")
    if wanted is not None and (difference := schema.difference(wanted)):
        raise InputError(f"{version}: {difference}")
    models = open_models(number, version, schema)
    # Also the first, slow call of a graph, which no request should have to wait for.
    for scorer in (models.hard, models.one_task):
        scorer.score(missing(schema, 2))
    return Bundle(manifest, table, schema, models)
