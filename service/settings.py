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
    max_header_bytes: PositiveInt = 64 * 2**10
    """Longest request line with headers, and trailers of a chunked body."""
    max_held_bytes: PositiveInt = 64 * 2**20
    """Bytes of bodies in memory, waiting or coming in; a request beyond is refused with 503."""
    receive_seconds: PositiveFloat = 10.0
    """Longest time that a request may take to come in."""
    max_candidates: PositiveInt = 1000
    """Most candidates in one request."""
    workers: PositiveInt = 2
    """Model processes. Each holds the version that serves and works on one request at a time;
    others wait for their turn."""
    max_waiting: PositiveInt = 64
    """Requests that may wait; one more is refused with status 503."""
    max_wait_seconds: PositiveFloat = 0.1
    """Time that a request may have to wait for its turn, by what the requests before took; with
    more in prospect it is refused with status 503 at once."""
    answer_seconds: PositiveFloat = 10.0
    """Time after which a model process that does not answer is replaced."""
    load_niceness: Annotated[int, Field(ge=0, le=19)] = 10
    """Priority at which a new version is loaded beside one that serves, as `nice` takes it."""
    load_seconds: PositiveFloat = 120.0
    """Time after which a version that is still loading is refused."""
    contract: str = ""
    """Data set contract whose features versions must take; empty for those of the first version
    that loads."""
    experiment: AbTest | None = None
    """A/B test; None routes every candidate by its task."""
    tf_serving: TFServingSettings | None = None
    """None scores in this process."""
    decisions: DecisionLogSettings | None = None
    """None writes no decision log."""
