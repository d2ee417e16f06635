"""The artifact that a model and its router ship under."""

from tfx.types.artifact import Artifact, Property, PropertyType


class TaskAssignments(Artifact):
    """Assignments of one run.

    Files: `history.parquet` (setup and day), `assignments.parquet` (runs of days),
    `routing.parquet` and its serving form `routing.arrow` (the as-of day, by the online
    threshold), `settings.json`, `stability.json` and `splits.json`.
    """

    TYPE_NAME = "TaskAssignments"
    PROPERTIES = {"assignment_id": Property(type=PropertyType.STRING)}
