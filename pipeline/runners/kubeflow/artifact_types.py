"""The project's own artifact types by the titles that compiled pipelines know them by."""

from __future__ import annotations

from typing import Any

import yaml

from components.data_gate.artifacts import DataVerdict
from components.example_gen.artifacts import IngestReport
from components.reporter.artifacts import Report
from components.task_labeler.artifacts import TaskAssignments

CLASS_PATHS = {
    kind.TYPE_NAME: f"{kind.__module__}.{kind.__qualname__}"
    for kind in (DataVerdict, IngestReport, Report, TaskAssignments)
}
"""Title -> dotted name of the class."""


def title_of(artifact_type: dict[str, Any]) -> str:
    """Title of an `ArtifactTypeSchema` in JSON."""
    if "schemaTitle" in artifact_type:
        return str(artifact_type["schemaTitle"])
    schema = yaml.safe_load(artifact_type.get("instanceSchema", "")) or {}
    return str(schema.get("title", ""))
