"""Where a pushed version keeps what later runs compare themselves with, or start from."""

from __future__ import annotations

from collections.abc import Callable

TRAIN_STATISTICS = "assets.extra/train_statistics.pb"
"""TFDV statistics of the train period, the reference of drift."""

START = "assets.extra/warm_start"
"""In a serving SavedModel, what a training that starts from it needs besides."""

MANIFEST = "assets.extra/manifest.json"
"""What `common.versions.manifest` describes."""

ONE_TASK_DIRECTORY = "assets.extra/one_task"
"""The one-task model's serving SavedModel."""

JUDGED_FIT = "assets.extra/judged_fit"
"""Of a version whose model is a refit: the judged fit, laid out as a version of its own. The refit
knows the outcomes of the days that later runs are judged on, and cannot be compared with."""


def comparable_model(version: str, exists: Callable[[str], bool]) -> str:
    """The model of a version that later candidates are compared with, and judged fits start from.

    Args:
      exists: whether there is a file of that path.
    """
    apart = f"{version}/{JUDGED_FIT}"
    return apart if exists(f"{apart}/saved_model.pb") else version
