"""Settings of the prediction service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from schemas.base import Frozen, PositiveFloat, PositiveInt
from service.routing.variants import AbTest

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")]


class TFServingSettings(Frozen):
    """Where TF Serving answers, when it does the scoring."""

    url: Annotated[str, Field(pattern=r"^https?://[^/]+$")]
    """Scheme, host and port of its REST API, such as `http://localhost:8501`."""
    hard_model: Name = "hardtower"
    """Name under which it serves the serving folder."""
    one_task_model: Name = "hardtower_one_task"
    """Name under which it serves the folder `one_task` in the serving folder."""
    timeout_seconds: PositiveFloat = 2.0
    """Longest wait for one answer."""


class DecisionLogSettings(Frozen):
    """Where decisions are written, a JSON line a request."""

    path: Path
    max_bytes: PositiveInt = 256 * 2**20
    """Size at which the file is renamed to `<path>.1` and a new one begun."""
    keep: PositiveInt = 4
    """Renamed files that are kept."""


class ServeSettings(Frozen):
    """One prediction service."""

    serving_dir: Path
    """Folder that the Pusher writes versions to."""
    poll_seconds: PositiveFloat = 2.0
    """Time between two looks at the serving folder."""
    max_body_bytes: PositiveInt = 8 * 2**20
    """Largest body of a request."""
    max_candidates: PositiveInt = 1000
    """Most candidates in one request."""
    workers: PositiveInt = 2
    """Requests worked on at the same time; others wait for their turn."""
    max_waiting: PositiveInt = 64
    """Requests that may wait; one more is refused with status 503."""
    contract: str = ""
    """Data set contract whose features versions must take; empty for those of the first version
    that loads."""
    experiment: AbTest | None = None
    """A/B test; None routes every candidate by its task."""
    tf_serving: TFServingSettings | None = None
    """None scores in this process."""
    decisions: DecisionLogSettings | None = None
    """None writes no decision log."""
