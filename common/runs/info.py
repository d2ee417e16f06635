"""What a run was asked to do: handed to the stages that write it down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from common.runs.parameters import with_parameters
from schemas.base import Frozen

RUN_ID = "run_id"
"""Execution property that holds the run's name."""


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

    @property
    def text(self) -> str:
        """As JSON without the name, which travels as the execution property `run_id`."""
        return self.model_dump_json(exclude={RUN_ID})

    @classmethod
    def of(cls, text: str, properties: Mapping[str, Any]) -> RunInfo:
        """From `text`, with the run's name and parameters as the execution properties have them."""
        run = cls.model_validate_json(text)
        return run.model_copy(
            update={
                RUN_ID: properties.get(RUN_ID) or run.run_id,
                "seed": properties.get("seed", run.seed),
                "as_of": properties.get("as_of", run.as_of),
                "config": with_parameters(run.config, properties),
            }
        )
