"""Every knob of the simulator, with the defaults' sources."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any

from pydantic import Field, model_validator

from labs.simulator.defaults import (
    ADVERTISER_TYPES,
    CONVERSION_TYPES,
    DEVICES,
    MISSING,
    AdvertiserType,
    ConversionType,
    Device,
)
from schemas.base import Day, Frozen, PositiveFloat, PositiveInt
from schemas.checked import checked

Share = Annotated[float, Field(ge=0, le=1)]
"""A fraction of the whole, or a probability."""

Correlation = Annotated[float, Field(ge=-1, le=1)]
Spread = Annotated[float, Field(ge=0, le=3)]
"""Standard deviation of an effect on the log-odds of a conversion."""

Values = Annotated[int, Field(ge=1, le=2**28)]

MOST_A_DAY = 10**8
"""Clicks; their times are drawn at once."""

Exponent = Annotated[float, Field(ge=0, le=4)]
"""Zipf exponent: the r-th most popular value has weight r^-exponent."""


class Size(Frozen):
    """How many there are of each thing at the start of the log."""

    advertisers: Annotated[int, Field(ge=1, le=10**6)] = 200
    campaigns_per_advertiser: Annotated[float, Field(ge=1, le=1000)] = 4.0
    """Mean; each advertiser has one and a Poisson number of others."""
    creatives_per_campaign: Annotated[float, Field(ge=1, le=1000)] = 5.0
    """Mean; one and a Poisson number of others."""
    goals_per_advertiser: Annotated[int, Field(ge=1, le=1000)] = 3
    """Most kinds of conversion that one advertiser counts; each has 1 to this many."""
    second_goal: Share = 0.5
    """Share of campaigns that run for two of their advertiser's goals at once."""
    users: Annotated[int, Field(ge=2, le=2**28)] = 100_000
    publishers: Values = 500
    apps: Values = 300
    cities: Values = 400


class Popularity(Frozen):
    """Zipf exponents (merchants .84, ad ids .7-.9, apps 1.7-2.5, cities .68 in public logs)."""

    advertisers: Exponent = 1.0
    campaigns: Exponent = 0.8
    """Of the campaigns within an advertiser."""
    creatives: Exponent = 0.8
    """Of the creatives within a campaign."""
    users: Exponent = 0.6
    publishers: Exponent = 0.84
    apps: Exponent = 1.8
    cities: Exponent = 0.68


class Churn(Frozen):
    """Setups and advertisers that come and go: the source of cold starts."""

    new_advertisers: Annotated[float, Field(ge=0, le=1)] = 0.02
    """New advertisers a week, as a share of `size.advertisers`."""
    new_campaigns: Annotated[float, Field(ge=0, le=1)] = 0.04
    """New campaigns a week of known advertisers, as a share of the first week's campaigns."""
    always_on: Share = 0.4
    """Share of campaigns that never end."""
    lifetime_days: PositiveFloat = 60.0
    """Mean life of the others past their first week (exponential)."""


class Rates(Frozen):
    """Where setup CVRs come from: logit CVR = type + advertiser + campaign (+ drift)."""

    advertiser_sd: Spread = 1.0
    advertiser_correlation: Correlation = 0.6
    """Between an advertiser's effects on a type of hardness 0 and one of hardness 1."""
    campaign_sd: Spread = 0.4
    campaign_correlation: Correlation = 0.6
    mistagged: Share = 0.1
    """Share of goals whose declared category is not what their tag really counts."""


class Drift(Frozen):
    """How a setup's logit CVR moves from week to week."""

    rho: Annotated[float, Field(ge=0, lt=1)] = 0.6
    """AR(1) coefficient."""
    innovation_sd: Spread = 0.12
    jump_rate: Share = 0.02
    """Probability that a setup jumps in a given week."""
    jump_size: Spread = 0.7
    """Size of a jump on the logit scale, up or down alike; a jump stays."""


class Intent(Frozen):
    """What users bring along. Each type's own intent sd is in the table of types."""

    correlation: Correlation = 0.5
    """Between the intents for a type of hardness 0 and one of hardness 1."""
    category_sd: Spread = 0.6
    """Effect of user x product category."""
    category_correlation: Share = 0.2
    """Share of the category effect's variance that all conversion types have in common."""
    interests: Annotated[int, Field(ge=4, le=64)] = 8
    """Hidden dimensions of a user's interests."""
    momentary_sd: Spread = 0.3
    """Effect that belongs to one click alone, and that nothing in the log tells."""
    reliability: Share = 0.5
    """Share of variance of logged user signals that is signal."""


class PlacementSettings(Frozen):
    """Effects of where and when the ad was clicked, and of the creative."""

    publisher_sd: Spread = 0.35
    publisher_correlation: Correlation = 0.5
    """Between the effects on a type of hardness 0 and one of hardness 1; so below."""
    app_sd: Spread = 0.25
    app_correlation: Correlation = 0.4
    city_sd: Spread = 0.15
    city_correlation: Correlation = 0.8
    creative_sd: Spread = 0.3
    creative_correlation: Correlation = 0.3
    styles: Annotated[int, Field(ge=1, le=64)] = 4
    """Hidden styles of creatives, one each."""
    style_sd: Spread = 0.0
    """Effect of publisher x style, which no sum of effects of publishers and creatives can say.
    Like that of user x product category (`intent.category_sd`), what a network can learn beyond a
    linear model. None by default."""
    hour_amplitude: Spread = 0.25
    """Height of the daily wave on the log-odds."""
    soft_peak_hour: Annotated[float, Field(ge=0, lt=24)] = 13.0
    """Hour (UTC) at which a type of hardness 0 converts best."""
    hard_peak_hour: Annotated[float, Field(ge=0, lt=24)] = 21.0
    main_device: Share = 0.8
    """Share of a user's clicks on the user's main device; the others are on any."""
    devices: Annotated[tuple[Device, ...], Field(min_length=1)] = DEVICES


class SimulatorSettings(Frozen):
    """A simulated click log."""

    clicks: Annotated[int, Field(ge=1, le=10**10)] = 1_000_000
    """Clicks in the whole log."""
    days: Annotated[int, Field(ge=1, le=3660)] = 112
    """Days of clicks. Conversions follow for up to `attribution_window_days` more."""
    start_date: Day = date(2024, 1, 1)
    """First day (UTC)."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    attribution_window_days: Annotated[int, Field(ge=1, le=366)] = 30
    """Longest time from click to conversion that counts."""
    quick_conversions: Share = 1.0
    """Factor on every type's shares of conversions within minutes and hours; the others take days.
    0.1 makes a slow world, in which a sixth of the conversions come within a day."""
    rows_per_file: PositiveInt = 2_000_000
    """Most clicks in one Parquet file; a busier day has several."""
    rows_per_chunk: Annotated[int, Field(ge=1, le=10**8)] = 65_536
    """Clicks drawn at a time: bounds memory and changes nothing else."""

    size: Size = Size()
    popularity: Popularity = Popularity()
    churn: Churn = Churn()
    rates: Rates = Rates()
    drift: Drift = Drift()
    intent: Intent = Intent()
    context: PlacementSettings = PlacementSettings()
    types: Annotated[tuple[ConversionType, ...], Field(min_length=2)] = CONVERSION_TYPES
    advertiser_types: Annotated[tuple[AdvertiserType, ...], Field(min_length=1)] = ADVERTISER_TYPES
    missing: Mapping[str, Share] = Field(default_factory=lambda: dict(MISSING))
    """Share of empty cells by column; a table replaces the default one, and columns that it does
    not name have none."""

    @model_validator(mode="after")
    def _consistent(self) -> SimulatorSettings:
        if self.clicks < 2 * self.days:
            raise ValueError(
                f"clicks: {self.clicks} over {self.days} days; wanted at least two a day"
            )
        if self.clicks > MOST_A_DAY * self.days:
            raise ValueError(
                f"clicks: {self.clicks} over {self.days} days; wanted at most {MOST_A_DAY:,} a day"
            )
        for key, names in (
            ("types", [t.name for t in self.types]),
            ("advertiser_types", [a.name for a in self.advertiser_types]),
            ("context.devices", [d.name for d in self.context.devices]),
        ):
            if twice := sorted({n for n in names if names.count(n) > 1}):
                raise ValueError(f"{key}: listed twice: {', '.join(twice)}")
        known = [t.name for t in self.types]
        for kind in self.advertiser_types:
            if unknown := sorted(set(kind.goals) - set(known)):
                raise ValueError(
                    f"advertiser_types: {kind.name} has goals of unknown type "
                    f"{', '.join(unknown)}; wanted some of {', '.join(known)}"
                )
        if unknown := sorted(set(self.missing) - set(MISSING)):
            raise ValueError(
                f"missing: column {', '.join(unknown)} cannot have empty cells; "
                f"wanted some of {', '.join(MISSING)}"
            )
        return self


def parse_settings(table: Mapping[str, Any], source: str = "simulator") -> SimulatorSettings:
    """Checks a table of settings; `source` names it in errors.

    Raises:
      InputError: an unknown key, a value of the wrong type or out of range, or a name that one
        table uses and another does not define.
    """
    return checked(SimulatorSettings, dict(table), source)
