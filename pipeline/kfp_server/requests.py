"""What a server is asked to run, and what it tells of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipeline.kfp_server.package import AS_OF, Package


@dataclass(frozen=True)
class PipelineVersion:
    """An uploaded version of a pipeline."""

    pipeline_id: str
    version_id: str


@dataclass(frozen=True)
class RunView:
    """A run as lists show it; empty where the server does not say."""

    run_id: str
    name: str
    state: str
    as_of: str
    created: datetime | None
    finished: datetime | None
    error: str


@dataclass(frozen=True)
class RunRequest:
    """What is common to runs and recurring runs.

    Attributes:
      arguments: the run's parameters.
      version: an uploaded version to run; the package itself is sent when there is none.
    """

    package: Package
    name: str
    arguments: Mapping[str, Any]
    pipeline_root: str | None = None
    service_account: str | None = None
    version: PipelineVersion | None = None

    def options(self) -> dict[str, Any]:
        """Arguments that `kfp.Client` takes for both."""
        source: dict[str, Any] = (
            {"pipeline_package_path": str(self.package.path)}
            if self.version is None
            else {
                "pipeline_id": self.version.pipeline_id,
                "version_id": self.version.version_id,
            }
        )
        return source | {
            "job_name": self.name,
            "params": dict(self.arguments),
            "pipeline_root": self.pipeline_root,
            "service_account": self.service_account,
        }


def view_of(run: Any) -> RunView:
    """A run of `kfp_server_api`, as lists show it.

    Raises:
      ValueError: it has no id, so that it is none.
    """
    if not run.run_id:
        raise ValueError("a run without an id")
    parameters = (run.runtime_config.parameters if run.runtime_config else None) or {}
    return RunView(
        run_id=run.run_id,
        name=run.display_name or "",
        state=run.state or "",
        as_of=str(parameters.get(AS_OF, "")),
        created=_moment(run.created_at),
        finished=_moment(run.finished_at),
        error=(run.error.message if run.error else "") or "",
    )


def _moment(moment: datetime | None) -> datetime | None:
    """A time of the server's; none where it sends zero seconds, as of runs that have not ended."""
    return moment if moment is not None and moment.timestamp() > 0 else None
