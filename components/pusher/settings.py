"""Settings of the pusher."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Frozen, PositiveFloat, PositiveInt
from schemas.contract import Contract


class RefitSettings(Frozen):
    """What a refit must show before it is pushed. The verdict is about the recipe; these are about
    this fit of it, on the newest clicks, whose labels are incomplete."""

    examples: PositiveInt = 40_000
    """Clicks after the eval period that are looked at, evenly taken."""
    level_tolerance: PositiveFloat = 0.25
    """Expected over observed conversions, on hard clicks and on all, may be off by this share: the
    check fails when the whole interval lies beyond 1 + tolerance, or below 1 / (1 + tolerance)."""
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """Two-sided level of the interval: a fit whose true level is on the edge of the tolerance is
    refused with a probability of (1 - confidence) / 2, one whose level is 1 with far less."""
    max_distance: PositiveFloat = 2.0
    """Largest mean absolute difference of log-odds to the judged fit's on the same clicks. A sound
    refit that has met a quarter of its setups since is about 1 away; one that has learned its
    examples by heart, 3 and more."""
    min_rank_correlation: Annotated[float, Field(ge=-1, le=1)] = 0.5
    """Least rank correlation with the judged fit's predictions on the same clicks."""
    min_known_clicks: Annotated[float, Field(ge=0, le=1)] = 0.9
    """Least share of the last week's clicks whose setups the refit was trained on."""


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
    fit: Literal["refit", "judged"] | None = None
    """`judged`: the model that was evaluated, which knows what was known when the eval period
    began. `refit`: the same recipe fitted once more with everything known at the as-of day, after
    the verdict. Null: a refit where the contract has a conversion time or its attribution window
    ends with the click's day, since otherwise the newest clicks have no label that means
    anything."""
    refit: RefitSettings = RefitSettings()
    allow_older: bool = False
    """Whether a model may replace one whose as-of day is later."""

    def refits(self, contract: Contract) -> bool:
        """Whether what is pushed is a refit."""
        if self.fit is None:
            return contract.labels_ripen or contract.attribution_window_days == 0
        return self.fit == "refit"
