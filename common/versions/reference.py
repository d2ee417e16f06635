"""Where a pushed version keeps what later runs compare themselves with, or start from."""

from __future__ import annotations

from collections.abc import Callable

MODEL_FILE = "saved_model.pb"
"""A SavedModel's graph."""

ASSETS_EXTRA = "assets.extra"
"""Folder of a SavedModel for files that TF Serving does not read."""

ROUTING_FILE = "routing.parquet"
"""The routing table, in that folder."""

TRAIN_STATISTICS = f"{ASSETS_EXTRA}/train_statistics.pb"
"""TFDV statistics of the train period, the reference of drift."""

START = f"{ASSETS_EXTRA}/warm_start"
"""In a serving SavedModel, what a training that starts from it needs besides."""

MANIFEST = f"{ASSETS_EXTRA}/manifest.json"
"""What `common.versions.manifest` describes."""

ONE_TASK_DIRECTORY = f"{ASSETS_EXTRA}/one_task"
"""The one-task model's serving SavedModel."""

JUDGED_FIT = f"{ASSETS_EXTRA}/judged_fit"
"""Of a version whose model is a refit: the judged fit, laid out as a version of its own. The refit
knows the outcomes of the days that later runs are judged on, and cannot be compared with."""


LAST_BLESSED = "last_blessed.json"
"""Beside the last blessed model, as `components.last_blessed` hands it on: what it is. Written
even before the first push, since object stores know no empty folders."""


def comparable_model(version: str, exists: Callable[[str], bool]) -> str:
    """The model of a version that later candidates are compared with, and judged fits start from.

    Args:
      exists: whether there is a file of that path.
    """
    apart = f"{version}/{JUDGED_FIT}"
    return apart if exists(f"{apart}/{MODEL_FILE}") else version
