"""Settings of the task labeller."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic import model_validator as validator

from components.task_labeler.decide.pins import (
    Pin,
    read_pins,
    refuse_double_pins,
    refuse_strange_pins,
)
from schemas.base import Days, Frozen, NonNegativeInt, PositiveFloat, PositiveInt
from schemas.contract import Contract
from schemas.errors import InputError

Share = Annotated[float, Field(gt=0, lt=1)]


class LabellingSettings(Frozen):
    """How conversion setups are split into hard and soft (paper, section 3.1.2)."""

    alpha: Share = 0.01
    """Offline threshold: a setup whose historical CVR is at most alpha is hard."""
    online_alpha_ratio: Annotated[float, Field(gt=0, le=1)] = 0.9
    """The routing table's threshold over alpha (paper, section 3.2.2: slightly lower)."""
    window_days: Days = 28
    """W: days of history before the day that is assigned."""
    half_life_days: PositiveFloat = 28.0
    delay: Literal["naive", "mature", "corrected"] = "corrected"
    """`naive` takes every click in the window as having had its time to convert; `mature` leaves
    clicks younger than the attribution window out; `corrected` counts a click by the share of
    conversions expected by its age. Without conversion times nothing is known of a click before its
    window has ended: then it is `mature`, whatever stands here."""
    prior_clicks: PositiveFloat | Literal["estimate"] = "estimate"
    """m: clicks that the prior counts for, at every level of the hierarchy; `estimate` takes it
    from how much the setups of a category differ (`strength.py`), as known on each day."""
    prior_refit_days: Days = 7
    """Days between estimates of `prior_clicks`."""
    prior_min_setups: PositiveInt = 10
    """Setups, beyond the first of each category x advertiser type, that an estimate needs."""
    decide_by: Literal["mean", "probability"] = "mean"
    """`mean`: hard iff the smoothed CVR is at most the threshold. `probability`: hard iff the CVR
    is at most the threshold with a probability of at least `min_probability`, by the Beta
    posterior."""
    min_probability: Share = 0.5
    min_clicks: NonNegativeInt = 100
    """Observed clicks in the window below which the reason is `prior` and the setup is `new`. The
    dwell begins with the first decision that rests on so many."""
    band: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Hysteresis, as a share of the threshold: a hard setup is judged by threshold x (1 + band),
    a soft one by threshold x (1 - band), whatever it is decided by."""
    min_dwell_days: NonNegativeInt = 3
    """Days that a setup keeps a side before it may change again, see `min_clicks`."""
    cold_start: Literal["prior", "hard", "soft", "fallback"] = "prior"
    """Side of a setup of which no click has been observed yet. `fallback` labels by the prior and
    routes to the one-task model."""
    cvr_buckets: tuple[Share, ...] = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
    """Upper edges of the CVR slices, increasing."""
    pins_file: str | None = None
    """YAML file of reviewed pins, added to `pins` when the pipeline is put together."""
    pins: tuple[Pin, ...] = ()
    """Setups whose side a person has decided for a time."""
    buckets: Annotated[int, Field(ge=1, le=65_536)] = 16
    """Groups that setups are hashed into, each assigned by one worker."""
    broadcast_rows: NonNegativeInt = 2_000_000
    """Rows of the history (setup and day) up to which every worker that labels holds all of it;
    above, each shard of clicks gets its own rows by a join on setup and day."""

    @validator(mode="after")
    def _consistent(self) -> LabellingSettings:
        if list(self.cvr_buckets) != sorted(set(self.cvr_buckets)):
            raise ValueError(f"cvr_buckets must increase (seen: {list(self.cvr_buckets)})")
        refuse_double_pins(self.pins)
        return self

    @property
    def online_alpha(self) -> float:
        return self.alpha * self.online_alpha_ratio


def with_pins(settings: LabellingSettings, setup: Sequence[str]) -> LabellingSettings:
    """The settings with the pins of `pins_file` in `pins` and no file to read any more.

    Args:
      setup: the columns that make a setup.

    Raises:
      InputError: the file is missing or broken, or pins a setup that `pins` has too; or a pin's
        setup is none of these columns.
    """
    if settings.pins_file is None:
        refuse_strange_pins(settings.pins, setup)
        return settings
    path = Path(settings.pins_file)
    pins = (*settings.pins, *read_pins(path))
    try:
        refuse_double_pins(pins)
    except ValueError as error:
        raise InputError(f"{path}: {error}, here and in labelling.pins") from None
    refuse_strange_pins(pins, setup)
    return settings.model_copy(update={"pins": pins, "pins_file": None})


def as_labelled(settings: LabellingSettings, contract: Contract) -> LabellingSettings:
    """The settings by which a log is labelled: pins read, and `mature` without conversion times.

    Raises:
      InputError: the pins are wrong, or no click in the window is old enough to count.
    """
    refuse_short_window(settings, contract)
    blind = contract.roles.conversion_timestamp is None
    holds = settings.model_copy(update={"delay": "mature"}) if blind else settings
    return with_pins(holds, contract.roles.setup)


def refuse_short_window(settings: LabellingSettings, contract: Contract) -> None:
    """Raises `InputError` where no click in the labelling window is old enough to count."""
    days, blind = contract.attribution_window_days, contract.roles.conversion_timestamp is None
    if settings.window_days > days or not (blind or settings.delay == "mature"):
        return
    why = "without conversion times" if blind else "with `delay: mature`"
    raise InputError(
        f"labelling.window_days: seen {settings.window_days}, wanted above the attribution window "
        f"of {days} days, such as {days + settings.window_days}: {why} younger clicks tell nothing"
    )


LONGEST_WARMUP, WARMUP_PART = 7, 8
"""The default warm-up: days, and the part of the days before the calibration period."""


class SplitSettings(Frozen):
    """Consecutive periods by click time: train, calibration, eval, and what came after it.

    The eval period ends with the last day whose labels are mature. What came after it, up to the
    as-of day, is for the served fit.
    """

    eval_days: Days = 7
    calibration_days: Days = 3
    """Period after training that tells what carries over, and sets the level. The served fit takes
    as many of its last days for its level, or those of the attribution window where that is longer:
    it is trained on them too, so that they cost nothing."""
    gap_days: NonNegativeInt | None = None
    """Days left out before the eval period. Null: none, since each row carries its label as it was
    observed by then; in a log without conversion times the attribution window, so that every
    earlier label was known when the period began."""
    calibration_gap_days: NonNegativeInt = 0
    """Days left out between the train and the calibration period."""
    warmup_days: NonNegativeInt | None = None
    """First days of the log that serve as history only. Null: a week, or an eighth of the days
    before the calibration period where that is less."""

    def served_calibration_days(self, attribution_days: int) -> int:
        """Days that the served fit's level is fitted on."""
        return max(self.calibration_days, attribution_days)

    def warmup(self, days: int) -> int:
        """Days of warm-up of a log with so many days before the calibration period."""
        if self.warmup_days is not None:
            return self.warmup_days
        return min(LONGEST_WARMUP, max(0, days) // WARMUP_PART)
