"""Pushes a blessed model and its routing table as one version."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from components.common.reference import TRAIN_STATISTICS
from components.pusher.digest import ASSETS_EXTRA, model_digest, model_files
from components.pusher.manifest import MANIFEST_FILE, Manifest
from components.pusher.record import Pruning, PushRecord
from components.pusher.settings import PushSettings
from components.pusher.versions import ServingFolder

ROUTING_FILE = "routing.parquet"


@dataclass(frozen=True)
class Cargo:
    """What makes up a version.

    Attributes:
      model: the serving SavedModel.
      routing: the routing table, a parquet file.
      statistics: TFDV statistics of the train split, the reference of later runs' drift; none
        leaves them without.
      manifest: the manifest, its version still open.
      write_warmup: writes the warm-up file into the folder it is given.
    """

    model: Path
    routing: Path
    statistics: Path | None
    manifest: Manifest
    write_warmup: Callable[[Path], None]


def push(
    cargo: Cargo,
    serving_dir: Path,
    settings: PushSettings,
    pruning: Pruning,
    clock: Callable[[], float] = time.time,
) -> PushRecord:
    """Publishes the cargo unless the newest version holds the same model and assignment.

    Raises:
      RuntimeError: the model's files changed since the manifest was written.
    """
    manifest = cargo.manifest

    def fill(folder: Path, version: int) -> None:
        for name in model_files(cargo.model):
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(cargo.model / name, target)
        if (copied := model_digest(folder)) != manifest.model_digest:
            raise RuntimeError(
                f"{cargo.model}: digest {copied} after copying; wanted {manifest.model_digest}, "
                "the model that was evaluated"
            )
        extra = folder / ASSETS_EXTRA
        extra.mkdir()
        shutil.copyfile(cargo.routing, extra / ROUTING_FILE)
        if cargo.statistics is not None:
            shutil.copyfile(cargo.statistics, folder / TRAIN_STATISTICS)
        numbered = manifest.model_copy(update={"version": version})
        (extra / MANIFEST_FILE).write_text(numbered.model_dump_json(indent=2) + "\n", "utf-8")
        cargo.write_warmup(extra)

    folder = ServingFolder(serving_dir, settings.keep, clock)
    published = folder.publish(fill, already=lambda newest: _serves(newest, manifest))
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


def _serves(version: Path, manifest: Manifest) -> bool:
    """Whether a version holds the manifest's model and assignment."""
    file = version / ASSETS_EXTRA / MANIFEST_FILE
    if not file.is_file():
        return False
    there = json.loads(file.read_text(encoding="utf-8"))
    return (there.get("model_digest"), there.get("assignment_id")) == (
        manifest.model_digest,
        manifest.assignment_id,
    )
