"""Pushes a blessed model and its routing table as one version."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.files.local import read_local_json
from common.routing.table import RoutingTable
from common.versions.digest import ASSETS_EXTRA, model_digest, model_files
from common.versions.folder import ServingFolder
from common.versions.manifest import MANIFEST_FILE, Manifest
from common.versions.reference import ONE_TASK_DIRECTORY, START, TRAIN_STATISTICS
from components.pusher.record import Pruning, PushRecord
from components.pusher.settings import PushSettings


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
    """

    model: Path
    routing: Mapping[str, Path]
    statistics: Path | None
    manifest: Manifest
    write_warmup: Callable[[Path], None]
    one_task: Path | None = None


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
        _copy_model(cargo.model, folder, manifest.model_digest)
        extra = folder / ASSETS_EXTRA
        extra.mkdir(exist_ok=True)
        if cargo.one_task is not None:
            _copy_model(cargo.one_task, folder / ONE_TASK_DIRECTORY, manifest.one_task_digest)
        for file, source in cargo.routing.items():
            shutil.copyfile(source, extra / file)
        RoutingTable.load(folder)
        if cargo.statistics is not None:
            shutil.copyfile(cargo.statistics, folder / TRAIN_STATISTICS)
        numbered = manifest.model_copy(update={"version": version})
        (extra / MANIFEST_FILE).write_text(numbered.model_dump_json(indent=2) + "\n", "utf-8")
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
    """The record of a model that stays where it is."""
    return PushRecord(
        pushed=False,
        version=None,
        path=None,
        reason=manifest.verdict.summary or "not blessed",
        model_digest=manifest.model_digest,
        assignment_id=manifest.assignment_id,
        pruning=None,
    )


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
    found: dict[str, Any] = read_local_json(version / ASSETS_EXTRA / MANIFEST_FILE, {})
    return found


def _serves(version: Path, manifest: Manifest) -> bool:
    """Whether a version holds the manifest's models and assignment."""
    there = _manifest(version)
    if not there:
        return False
    keys = ("model_digest", "one_task_digest", "assignment_id")
    return all(there.get(key, "") == getattr(manifest, key) for key in keys)
