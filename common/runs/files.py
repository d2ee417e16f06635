"""Names of the files that stages, runs and commands leave for one another."""

from __future__ import annotations

from enum import StrEnum


class AssignmentFile(StrEnum):
    """Of a TaskAssignments artifact; the routing table's are named in `common.routing.table`."""

    COUNTS = "counts.parquet"
    """Clicks by setup, day and delay: all that the assignments depend on."""
    HISTORY = "history.parquet"
    """A row a setup and day."""
    RUNS = "assignments.parquet"
    """The same as runs of days on which nothing changed."""
    COMPLETENESS = "completeness.parquet"
    SETTINGS = "settings.json"
    SPLITS = "splits.json"
    STABILITY = "stability.json"


class EvaluationFile(StrEnum):
    """Of an evaluation; a run's folder holds copies of the first two."""

    METRICS = "metrics.json"
    COMPARISONS = "comparisons.json"
    CALIBRATION = "calibration.json"
    PREDICTIONS = "predictions.parquet"
    VERDICT = "verdict.json"


class TrainingFile(StrEnum):
    """Of a ModelRun artifact."""

    HISTORY = "history.json"
    RECORD = "training.json"


class PushFile(StrEnum):
    """Of the pusher's artifact."""

    RECORD = "push.json"
    MANIFEST = "manifest.json"


class RunFile(StrEnum):
    """Of `runs/<run_id>/`."""

    RECORD = "run.json"
    MANIFEST = "manifest.json"
    FIGURES = "figures.json"
    REPORT = "report.html"
    VERDICT = "verdict.json"
    """How a run ended on Kubeflow, by its exit handler."""
