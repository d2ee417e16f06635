"""Checkpoints of a training that may be killed at any moment."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from components.trainer.settings import TrainingSettings
from schemas.errors import InputError

LARGEST_SHARE = 0.05
"""Of the training's time that checkpoints written by the clock may take."""

_PREFIX = "step"
_log = logging.getLogger("hardtower")


@dataclass
class Spent:
    """What checkpoints cost.

    Attributes:
      written, failed: how many.
      seconds: wall time of all of them.
    """

    written: int = 0
    failed: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class CheckpointRoot:
    """Where trainings keep their checkpoints, each in a folder of its own.

    Attributes:
      folder: any path that TensorFlow reaches.
      code: fingerprint of the sources that train.
    """

    folder: str
    code: str = ""


def keeps_checkpoints(training: TrainingSettings) -> bool:
    """Whether the settings ask for checkpoints."""
    every = (training.checkpoint_every_seconds, training.checkpoint_every_steps)
    return any(value is not None for value in every)


@dataclass
class Checkpoints:
    """The checkpoints of one training in a folder of its own.

    A checkpoint appears by the replacement of one small file that names it, after all of its own
    files are written: one that was being written when the process died is never looked at. The
    last `keep_checkpoints` are kept, so that one that can't be read (a disk that lost what was
    not yet written out) leaves an older one.

    Attributes:
      folder: any path that TensorFlow reaches.
      parts: what is saved and restored, by name.
      training: settings.
      clock: seconds from any start.
      spent: what they cost so far.
    """

    folder: str
    parts: Mapping[str, Any]
    training: TrainingSettings
    clock: Callable[[], float] = time.perf_counter
    spent: Spent = field(default_factory=Spent)

    def __post_init__(self) -> None:
        self._manager = tf.train.CheckpointManager(
            tf.train.Checkpoint(**self.parts),
            self.folder,
            max_to_keep=self.training.keep_checkpoints,
            checkpoint_name=_PREFIX,
        )
        self._pause = self._seconds_apart(0.0)
        self._last = self.clock()

    def restore(self) -> str | None:
        """Goes on from the newest checkpoint that can be read; returns its path, if there is one.

        Raises:
          AssertionError: it is not one of these parts.
        """
        for path in reversed(self._manager.checkpoints):
            if problem := _problem(path):
                _log.warning("Trainer: checkpoint %s cannot be read: %s", path, problem)
                continue
            self._manager.checkpoint.restore(path).assert_consumed()
            return str(path)
        return None

    @property
    def latest(self) -> str | None:
        """Path of the newest checkpoint, if there is one."""
        path = self._manager.latest_checkpoint
        return None if path is None else str(path)

    def due(self, step: int) -> bool:
        """Whether a checkpoint should be written after this step."""
        every = self.training.checkpoint_every_steps
        if every is not None and step % every == 0:
            return True
        return self._pause is not None and self.clock() - self._last >= self._pause

    def save(self, step: int, variables: tuple[tf.Variable, ...]) -> float:
        """Writes one, unless a variable is no longer finite; returns the seconds that it took.

        Checkpoints protect the training and must not end it: a failure, such as a full disk, is
        logged and the training goes on.

        Args:
          step: steps taken.
          variables: those that tell a training which has diverged.
        """
        started = self.clock()
        if _finite(variables):
            try:
                self._manager.save(checkpoint_number=step)
                self.spent.written += 1
            except (tf.errors.OpError, OSError) as error:
                self.spent.failed += 1
                _log.warning("Trainer: checkpoint at step %d not written: %s", step, error)
        self._last = self.clock()
        taken = self._last - started
        self._pause = self._seconds_apart(taken)
        self.spent.seconds += taken
        return taken

    def _seconds_apart(self, taken: float) -> float | None:
        every = self.training.checkpoint_every_seconds
        return None if every is None else max(every, taken / LARGEST_SHARE)


def checkpoint_root(
    offered: CheckpointRoot, training: TrainingSettings, *, sweeping: bool = True
) -> CheckpointRoot | None:
    """Where this run keeps checkpoints; none where it keeps none.

    Args:
      offered: the pipeline's own place, an empty folder where it has none.
      training: settings; their `checkpoint_dir` comes first.
      sweeping: remove those of trainings that nobody went on with.

    Raises:
      InputError: `checkpoint_dir` can't be written to.
    """
    folder = training.checkpoint_dir or offered.folder
    if not folder or not keeps_checkpoints(training):
        return None
    root = CheckpointRoot(folder, offered.code)
    try:
        tf.io.gfile.makedirs(folder)
        if sweeping:
            remove_abandoned(root, training.checkpoint_days)
    except tf.errors.OpError as error:
        reason = " ".join(error.message.split())
        if training.checkpoint_dir:
            raise InputError(
                f"training.checkpoint_dir: {folder!r}: {reason}; wanted a folder that TensorFlow "
                "can write to, on a volume or in a gs:// bucket"
            ) from error
        _log.warning(
            "Trainer: no checkpoints: %s: %s; set training.checkpoint_dir to a volume or a gs:// "
            "bucket to keep them",
            folder,
            reason,
        )
        return None
    return root


def remove(folder: str) -> None:
    """Removes a training's checkpoints, if there are any."""
    if tf.io.gfile.isdir(folder):
        tf.io.gfile.rmtree(folder)


def remove_abandoned(root: CheckpointRoot, days: int, now: Callable[[], float] = time.time) -> None:
    """Removes the folders of trainings that nobody went on with for some days.

    Args:
      root: where trainings keep their checkpoints.
      days: since the last write.
      now: seconds since 1970-01-01.
    """
    if not tf.io.gfile.isdir(root.folder):
        return
    for name in tf.io.gfile.listdir(root.folder):
        folder = os.path.join(root.folder, name.rstrip("/"))
        marker = os.path.join(folder, "checkpoint")
        if not tf.io.gfile.exists(marker):
            continue
        age = now() - tf.io.gfile.stat(marker).mtime_nsec / 1e9
        if age > days * 86_400:
            _log.info("Trainer: removing checkpoints of %s, %.0f days old", folder, age / 86_400)
            remove(folder)


def _problem(path: str) -> str:
    """Why a checkpoint can't be read in full; empty when it can.

    Restoring finds out half-way, with some variables already changed.
    """
    try:
        reader = tf.compat.v1.train.NewCheckpointReader(path)
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except (tf.errors.OpError, ValueError, RuntimeError, IndexError) as error:
        return " ".join(str(error).split())[:200]
    return ""


def _finite(variables: tuple[tf.Variable, ...]) -> bool:
    return all(bool(tf.reduce_all(tf.math.is_finite(v))) for v in variables)
