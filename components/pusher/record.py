"""What a push did, as `push.json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.base import Frozen

RECORD_FILE = "push.json"


class PushRecord(Frozen):
    """Contents of `push.json`."""

    pushed: bool
    """A new version was published."""
    version: int | None
    """The version that serves the model; null when none does."""
    path: str | None
    """Its folder."""
    reason: str
    """Why the model was or was not pushed, for people."""
    model_digest: str
    assignment_id: str
    pruning: Mapping[str, Any]
    """The proof that the serving graph is the hard part of the full graph; empty when the model
    was not blessed, since then nothing had to be proved."""
