"""Pushes a blessed model and its routing table as one version."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.files.local import read_local_json
from common.routing.table import RoutingTable
from common.versions.digest import model_digest, model_files
from common.versions.folder import ServingFolder
from common.versions.manifest import Manifest
from common.versions.reference import (
    ASSETS_EXTRA,
    JUDGED_FIT,
    MANIFEST,
    ONE_TASK_DIRECTORY,
    START,
    TRAIN_STATISTICS,
)
from components.pusher.record import Pruning, PushRecord, RefitCheck
from components.pusher.settings import PushSettings


@dataclass(frozen=True)
class Models:
    """The two models of a fit, serving SavedModels.

    Attributes:
      model: the hard tower.
      model_digest: what `model_digest` says of it.
      one_task: for all other candidates; none when the version serves hard candidates alone.
      one_task_digest: of it, empty without one.
    """

    model: Path
    model_digest: str
    one_task: Path | None = None
    one_task_digest: str = ""

    @classmethod
    def found(cls, model: Path, one_task: Path | None) -> Models:
        """Two models on disk, with digests of what is there."""
        other = "" if one_task is None else model_digest(one_task)
        return cls(model, model_digest(model), one_task, other)


@dataclass(frozen=True)
class Cargo:
    """What makes up a version.

    Attributes:
      model: the serving SavedModel.
      routing: the files of the routing table by their names in `assets.extra`.
      statistics: TFDV statistics of the train split, the reference of later runs' drift; none
        leaves them without.
      manifest: the manifest, its version still open.
      write_warmup: writes the warm-up file into the folder it is given.
      one_task: the one-task model's serving SavedModel; none when the version serves hard
        candidates alone.
      judged: the judged fit, where that is not what serves.
    """

    model: Path
    routing: Mapping[str, Path]
    statistics: Path | None
    manifest: Manifest
    write_warmup: Callable[[Path], None]
    one_task: Path | None = None
    judged: Models | None = None


def push(
    cargo: Cargo,
    serving_dir: Path,
    settings: PushSettings,
    pruning: Pruning,
    clock: Callable[[], float] = time.time,
) -> PushRecord:
    """Publishes the cargo unless the newest version holds the same model and assignment, or one
    that has seen later days: a backfill must not undo what has happened since.

    Raises:
      RuntimeError: a model's files changed since the manifest was written.
      InputError: the routing table can't be read back; nothing is published.
    """
    manifest = cargo.manifest

    def fill(folder: Path, version: int) -> None:
        one_task = manifest.one_task_digest
        _copy_models(Models(cargo.model, manifest.model_digest, cargo.one_task, one_task), folder)
        extra = folder / ASSETS_EXTRA
        extra.mkdir(exist_ok=True)
        if cargo.judged is not None:
            _copy_models(cargo.judged, folder / JUDGED_FIT)
        for file, source in cargo.routing.items():
            shutil.copyfile(source, extra / file)
        RoutingTable.load(folder)
        if cargo.statistics is not None:
            shutil.copyfile(cargo.statistics, folder / TRAIN_STATISTICS)
        numbered = manifest.model_copy(update={"version": version})
        (folder / MANIFEST).write_text(numbered.model_dump_json(indent=2) + "\n", "utf-8")
        cargo.write_warmup(extra)

    later = ""

    def stays(newest: Path) -> bool:
        nonlocal later
        later = "" if settings.allow_older else _later(newest, manifest)
        return bool(later) or _serves(newest, manifest)

    folder = ServingFolder(serving_dir, settings.keep, clock)
    published = folder.publish(fill, already=stays)
    if later:
        return PushRecord(
            pushed=False,
            version=None,
            path=None,
            reason=f"version {published.version} serves a model as of {later}, which is later",
            model_digest=manifest.model_digest,
            assignment_id=manifest.assignment_id,
            pruning=pruning,
        )
    return PushRecord(
        pushed=published.new,
        version=published.version,
        path=str(published.path),
        reason=(
            f"pushed as version {published.version}"
            if published.new
            else f"version {published.version} already serves this model"
        ),
        model_digest=manifest.model_digest,
        assignment_id=manifest.assignment_id,
        pruning=pruning,
    )


def not_blessed(manifest: Manifest) -> PushRecord:
    """The record of a recipe that the evaluator did not bless."""
    return _stays(manifest, manifest.verdict.summary or "not blessed")


def _stays(manifest: Manifest, reason: str) -> PushRecord:
    """The record of a model that stays where it is."""
    return PushRecord(
        pushed=False,
        version=None,
        path=None,
        reason=reason,
        model_digest=manifest.model_digest,
        assignment_id=manifest.assignment_id,
        pruning=None,
    )


def refused(manifest: Manifest, checks: Sequence[RefitCheck]) -> PushRecord:
    """The record of a refit that failed a check."""
    failed = [check for check in checks if not check.passed]
    names = ", ".join(check.name for check in failed)
    why = "; ".join(f"{check.name}: {check.detail}; wanted {check.wanted}" for check in failed)
    return _stays(manifest, f"the refit failed {names}: nothing was pushed ({why})")


def _copy_models(fit: Models, folder: Path) -> None:
    _copy_model(fit.model, folder, fit.model_digest)
    if fit.one_task is not None:
        _copy_model(fit.one_task, folder / ONE_TASK_DIRECTORY, fit.one_task_digest)


def _copy_model(source: Path, folder: Path, wanted: str) -> None:
    """Copies a SavedModel, and what a warm start from it needs."""
    for name in model_files(source):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target)
    if (copied := model_digest(folder)) != wanted:
        raise RuntimeError(
            f"{source}: digest {copied} after copying; wanted {wanted}, the model that was "
            "evaluated"
        )
    if (start := source / START).is_dir():
        shutil.copytree(start, folder / START)


def _later(version: Path, manifest: Manifest) -> str:
    """The version's as-of day where that is later than the manifest's, else nothing."""
    there = str(_manifest(version).get("data", {}).get("as_of", ""))
    return there if manifest.data.as_of and there > manifest.data.as_of else ""


def _manifest(version: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = read_local_json(version / MANIFEST, {})
    return manifest


def _serves(version: Path, manifest: Manifest) -> bool:
    """Whether a version holds the manifest's models and assignment."""
    there = _manifest(version)
    if not there:
        return False
    keys = ("model_digest", "one_task_digest", "assignment_id")
    return all(there.get(key, "") == getattr(manifest, key) for key in keys)
