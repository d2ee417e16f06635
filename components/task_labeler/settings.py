"""Settings of the task labeller."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt
from pydantic import model_validator as validator

from schemas.base import Frozen

Share = Annotated[float, Field(gt=0, lt=1)]


class LabellingSettings(Frozen):
    """How conversion setups are split into hard and soft (paper, section 3.1.2)."""

    alpha: Share = 0.01
    """Offline threshold: a setup whose historical CVR is at most alpha is hard."""
    online_alpha_ratio: Annotated[float, Field(gt=0, le=1)] = 0.9
    """The routing table's threshold over alpha (paper, section 3.2.2: slightly lower)."""
    window_days: PositiveInt = 28
    """W: days of history before the day that is assigned."""
    half_life_days: PositiveFloat = 7.0
    delay: Literal["naive", "mature", "corrected"] = "corrected"
    """`naive` takes every click in the window as having had its time to convert; `mature` leaves
    clicks younger than the attribution window out; `corrected` counts a click by the share of
    conversions expected by its age."""
    prior_clicks: PositiveFloat = 200.0
    """m: clicks that the prior counts for, at every level of the hierarchy."""
    min_clicks: NonNegativeInt = 100
    """Observed clicks in the window below which the reason is `prior` and the setup is `new`."""
    band: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Hysteresis, as a share of the threshold: a hard setup turns soft above
    threshold x (1 + band), a soft one turns hard at or below threshold x (1 - band)."""
    min_dwell_days: NonNegativeInt = 3
    """Days that a setup keeps a side before it may change again."""
    cold_start: Literal["prior", "hard", "soft", "fallback"] = "prior"
    """Side of a setup of which no click has been observed yet. `fallback` labels by the prior and
    routes to the one-task model."""
    cvr_buckets: tuple[Share, ...] = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
    """Upper edges of the CVR slices, increasing."""
    pins: dict[str, Literal["hard", "soft"]] = Field(default_factory=dict)
    """Setups whose side a person has decided, by setup id."""
    buckets: PositiveInt = 16
    """Groups that setups are hashed into, each assigned by one worker."""

    @validator(mode="after")
    def _consistent(self) -> LabellingSettings:
        if list(self.cvr_buckets) != sorted(set(self.cvr_buckets)):
            raise ValueError(f"cvr_buckets must increase (seen: {list(self.cvr_buckets)})")
        return self

    @property
    def online_alpha(self) -> float:
        return self.alpha * self.online_alpha_ratio


class SplitSettings(Frozen):
    """Consecutive periods by click time, the last one ending where labels are no longer mature."""

    eval_days: PositiveInt = 7
    calibration_days: PositiveInt = 3
    """Period after training that early stopping looks at."""
    gap_days: NonNegativeInt | None = None
    """Days left out before the eval period; the attribution window when null, so that every
    earlier label was known when the period began."""
    calibration_gap_days: NonNegativeInt = 0
    """Days left out between the train and the calibration period."""
    warmup_days: NonNegativeInt = 0
    """First days of the log that serve as history only."""
