"""Where a pushed version keeps what later runs compare themselves with, or start from."""

TRAIN_STATISTICS = "assets.extra/train_statistics.pb"
"""TFDV statistics of the train period, the reference of drift."""

START = "assets.extra/warm_start"
"""In a serving SavedModel, what a training that starts from it needs besides."""

MANIFEST = "assets.extra/manifest.json"
ONE_TASK_DIRECTORY = "assets.extra/one_task"
"""The one-task model's serving SavedModel."""
