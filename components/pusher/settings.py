"""Settings of the pusher."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from schemas.base import Frozen


class PushSettings(Frozen):
    """How a blessed model gets into the serving folder."""

    keep: Annotated[int, Field(ge=1, le=1000)] = 5
    """Versions kept in the serving folder, the newest included; 1 leaves nothing to roll back
    to."""
    warmup_requests: Annotated[int, Field(ge=0, le=1000)] = 10
    """Requests in the warm-up file; TF Serving replays at most 1000. 0 writes no file."""
    warmup_batch: Annotated[int, Field(ge=1, le=65_536)] = 16
    """Examples in each warm-up request."""
    proof_examples: Annotated[int, Field(ge=1, le=2**20)] = 256
    """Eval examples on which the serving graph and the full graph must agree."""
    model_name: Annotated[str, Field(min_length=1)] = "hardtower"
    """Name under which TF Serving serves the folder; written into warm-up requests."""
    allow_older: bool = False
    """Whether a model may replace one whose as-of day is later."""
