"""Numbered versions in a serving folder, each of them there in full or not at all.

TF Serving loads the highest numbered sub-folder and ignores names that are not numbers. A version
is put together under a dotted name on the same file system and appears by one rename; it goes the
same way. The folder must be on a file system where renaming a directory is atomic (a disk, a
volume), which object stores mounted as folders are not.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from common.versions.digest import SUMS, check_sums, write_sums
from common.versions.reference import ASSETS_EXTRA, MANIFEST, MODEL_FILE
from schemas.errors import InputError

STAGING = ".staging-"
REMOVED = ".removed-"
ONE_TASK_MODEL = "one_task"
"""Sub-folder with a link to each version's one-task model, for TF Serving to watch."""

LOCK = ".lock"
"""Held by whoever changes the folder; holds the highest number ever given out."""

_NUMBER = re.compile(r"0|[1-9][0-9]*")


@dataclass(frozen=True)
class Version:
    """A pushed model: `number` is its name in the serving folder, `path` the SavedModel."""

    number: int
    path: Path

    @property
    def manifest_digest(self) -> str:
        """`sha256:` and 64 hex digits over its manifest; empty when it has none."""
        return _digest(self.path / MANIFEST)


@dataclass(frozen=True)
class Published:
    """A version that serves; `new` is false when it was there before."""

    version: int
    path: Path
    new: bool


@dataclass(frozen=True)
class RolledBack:
    """The version taken away and the one that serves instead."""

    removed: int
    serving: int


class ServingFolder:
    """The folder that TF Serving watches.

    >>> import tempfile
    >>> def fill(path: Path, version: int) -> None:
    ...     _ = (path / MODEL_FILE).write_bytes(b"a SavedModel")
    >>> with tempfile.TemporaryDirectory() as root:
    ...     folder = ServingFolder(Path(root), clock=lambda: 1_700_000_000)
    ...     first, second = folder.publish(fill), folder.publish(fill)
    ...     (first.version, second.version, folder.rollback(), folder.versions())
    (1700000000, 1700000001, RolledBack(removed=1700000001, serving=1700000000), [1700000000])

    Args:
      root: the folder; made by the first push.
      keep: versions kept after a push, at least 1.
      clock: seconds since 1970-01-01.
    """

    def __init__(self, root: Path, keep: int = 5, clock: Callable[[], float] = time.time) -> None:
        if keep < 1:
            raise InputError(f"keep: {keep} versions; wanted at least 1")
        self.root = root
        self._keep = keep
        self._clock = clock

    def versions(self) -> list[int]:
        """Numbers of the versions that are there, increasing.

        A version is a folder named by a number without leading zeros that holds a SavedModel. A
        folder that somebody is still copying files into is none yet.
        """
        return [n for n in self.numbered() if (self.path(n) / MODEL_FILE).is_file()]

    def numbered(self) -> list[int]:
        """Numbers of all folders that a model server would try, increasing, whatever they hold."""
        if not self.root.is_dir():
            return []
        return sorted(
            int(entry.name)
            for entry in os.scandir(self.root)
            if _NUMBER.fullmatch(entry.name) and entry.is_dir()
        )

    def path(self, version: int) -> Path:
        return self.root / str(version)

    def newest(self, but: Callable[[Path], bool] = lambda version: False) -> Version | None:
        """The version that serves, if any.

        Args:
          but: versions to leave out.
        """
        for number in reversed(self.versions()):
            if not but(self.path(number)):
                return Version(number, self.path(number))
        return None

    def fingerprint(self, but: Callable[[Path], bool] = lambda version: False) -> str:
        """Changes whenever `newest` does; empty while there is none."""
        newest = self.newest(but)
        if newest is None:
            return ""
        return f"{newest.number}:{newest.manifest_digest or _digest(newest.path / MODEL_FILE)}"

    def publish(
        self,
        fill: Callable[[Path, int], None],
        already: Callable[[Path], bool] = lambda newest: False,
    ) -> Published:
        """Publishes what `fill(folder, version)` puts into an empty folder as a new version.

        A list of all files with their digests goes with it (`SHA256SUMS`).

        The version is the time in seconds, or one more than the highest number given out before
        where that is larger. Nothing changes for readers when `fill` raises.

        Args:
          fill: writes the version's files.
          already: asked about the newest version's folder, under the lock; true means that there
            is nothing to publish.

        Raises:
          ValueError: `fill` wrote no SavedModel.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with self._lock() as lock:
            self._sweep()
            newest = self.newest()
            if newest is not None and already(newest.path):
                return Published(newest.number, newest.path, new=False)
            names = [int(n) for n in os.listdir(self.root) if _NUMBER.fullmatch(n)]
            taken = max(_last_number(lock), *names, 0)
            version = max(int(self._clock()), taken + 1)
            # Not tempfile: its folders are closed to the user that TF Serving runs as.
            staging = self.root / f"{STAGING}{version}"
            staging.mkdir()
            try:
                fill(staging, version)
                if not (staging / MODEL_FILE).is_file():
                    raise ValueError(f"version {version}: no {MODEL_FILE}; wanted a SavedModel")
                write_sums(staging)
                _sync_tree(staging)
            except BaseException:
                shutil.rmtree(staging, ignore_errors=True)
                raise
            _record_number(lock, version)
            os.rename(staging, self.path(version))
            _sync(self.root)
            for old in self.versions()[: -self._keep]:
                self._remove(old)
            self._link_one_task()
        return Published(version, self.path(version), new=True)

    def rollback(self) -> RolledBack:
        """Takes the newest version away, so that the one before it serves again.

        Its number is never given out again: a server that still holds it would not see the
        change.

        Raises:
          InputError: there are fewer than two versions, or the one before is not as it was pushed.
        """
        if not self.versions():
            raise InputError(f"{self.root}: no versions in this folder; wanted a serving folder")
        with self._lock() as lock:
            self._sweep()
            versions = self.versions()
            if len(versions) < 2:
                raise InputError(
                    f"{self.root}: only version {versions[0]} is left; wanted an older one to "
                    "roll back to"
                )
            *_, serving, newest = versions
            if (self.path(serving) / SUMS).is_file():
                check_sums(self.path(serving))
            _record_number(lock, max(newest, _last_number(lock)))
            self._remove(newest)
            self._link_one_task()
        return RolledBack(removed=newest, serving=serving)

    @contextmanager
    def _lock(self) -> Iterator[int]:
        """Keeps other writers out, of this process or another; the kernel frees it on death."""
        handle = os.open(self.root / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield handle
        finally:
            os.close(handle)

    def _remove(self, version: int) -> None:
        aside = self.root / f"{REMOVED}{version}-{uuid.uuid4().hex}"
        os.rename(self.path(version), aside)
        _sync(self.root)
        shutil.rmtree(aside)

    def _link_one_task(self) -> None:
        """Brings the links to one-task models in step with the versions; only under the lock."""
        links = self.root / ONE_TASK_MODEL
        target = Path(ASSETS_EXTRA) / ONE_TASK_MODEL
        wanted = {str(v) for v in self.versions() if (self.path(v) / target).is_dir()}
        there = {entry.name for entry in os.scandir(links)} if links.is_dir() else set()
        if wanted:
            links.mkdir(exist_ok=True)
        for name in there - wanted:
            (links / name).unlink()
        for name in wanted - there:
            (links / name).symlink_to(Path("..") / name / target)

    def _sweep(self) -> None:
        """Deletes what writers that were killed left behind; only under the lock."""
        for entry in list(os.scandir(self.root)):
            if entry.name.startswith((STAGING, REMOVED)):
                shutil.rmtree(entry.path)


def _digest(file: Path) -> str:
    if not file.is_file():
        return ""
    return f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"


def _last_number(lock: int) -> int:
    text = os.pread(lock, 32, 0).decode("ascii", "replace").strip()
    return int(text) if _NUMBER.fullmatch(text) else 0


def _record_number(lock: int, version: int) -> None:
    # Numbers only grow, so a shorter text never leaves digits of a longer one behind.
    os.pwrite(lock, str(version).encode("ascii"), 0)
    os.fsync(lock)


def _sync_tree(folder: Path) -> None:
    """Forces every file and folder of a tree to disk."""
    for parent, _, files in os.walk(folder):
        for name in files:
            _sync(Path(parent) / name)
        _sync(Path(parent))


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
