"""What a run was asked to do: handed to the stages that write it down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from schemas.base import Frozen


class RunInfo(Frozen):
    """Provenance of one run, as JSON in an execution property."""

    run_id: str = ""
    """Name of the run; empty where only the orchestrator knows it."""
    seed: int = 0
    as_of: str = ""
    """ISO date before which data was visible; empty when ingest resolves it."""
    contract: str = ""
    """Name of the data set contract."""
    code_version: str = ""
    """Version of hardtower, with the commit where it is known."""
    command: str = ""
    """Command line that repeats the run."""
    config: Mapping[str, Any] = Field(default_factory=dict)
    """The full pipeline config, defaults filled in."""
