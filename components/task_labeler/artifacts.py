"""The artifact that a model and its router ship under."""

from tfx.types.artifact import Artifact


class TaskAssignments(Artifact):
    """Assignments of one run.

    Files: `history.parquet` (setup and day), `assignments.parquet` (runs of days),
    `routing.parquet` and its serving form `routing.arrow` (the as-of day, by the online
    threshold), `settings.json`, `stability.json` and `splits.json`. Custom property
    `assignment_id`.
    """

    TYPE_NAME = "hardtower.TaskAssignments"
