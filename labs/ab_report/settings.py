"""Settings of the A/B report."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Frozen, NonNegativeFloat, NonNegativeInt

ZeroPolicy = Literal["drop", "add_half"]
Unit = Literal["setup", "advertiser"]
Share = Annotated[float, Field(gt=0, lt=1)]


class AbReportSettings(Frozen):
    """How an A/B test is read."""

    control: Annotated[str, Field(min_length=1)] = "control"
    """Name of the variant that the other one is compared with."""
    unit: Unit = "setup"
    """What a ratio is taken of: a conversion setup, or all setups of an advertiser together."""
    zeros: ZeroPolicy = "drop"
    """Units without a conversion in one of the variants. `drop` leaves them out of every ratio and
    reports the spend that is left out. `add_half` adds half a conversion to both variants of every
    unit, which pulls ratios of small units towards 1."""
    min_conversions: NonNegativeFloat = 0.0
    """Units with fewer conversions, both variants together, are left out, and their spend is
    reported."""
    group_shares: tuple[Share, ...] = (0.3, 0.5, 0.7)
    """Share of all spend that each nested group of advertisers reaches, largest first."""
    resamples: Annotated[int, Field(ge=100, le=1_000_000)] = 2000
    """Bootstrap resamples of the advertisers."""
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """Two-sided level of the bootstrap intervals."""
    min_advertisers: Annotated[int, Field(ge=2, le=1_000_000)] = 5
    """Advertisers below which a row has no interval: too few to resample."""
    seed: NonNegativeInt = 20240501
    """Seed of the bootstrap."""
    traffic_share: Share = 0.5
    """Share of the traffic and of every budget that the control was to have."""
    mismatch_p: Share = 0.001
    """p-value of the chi-square test below which the traffic split is called wrong."""
    budget_tolerance: NonNegativeFloat = 0.01
    """Largest departure of the control's share of a budget from `traffic_share`, absolute."""
    spend_tolerance: NonNegativeFloat = 0.05
    """Largest departure of the control's share of all spend from `traffic_share`, absolute."""
