"""Tables of the simulated market: conversion types, advertiser types, devices, empty cells."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

from pydantic import Field, model_validator

from schemas.base import Frozen, PositiveFloat

Effect = Annotated[float, Field(ge=-5, le=5)]
"""On the log-odds of a conversion."""

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class DelayMixture(Frozen):
    """Time from click to conversion: a mixture of three exponentials, cut at the window."""

    within_minutes: Annotated[float, Field(ge=0, le=1)]
    """Share of conversions that take minutes."""
    within_hours: Annotated[float, Field(ge=0, le=1)]
    """Share that take hours; what is left takes days."""
    minutes: PositiveFloat = 5.0
    """Mean of the first, in minutes, before the cut."""
    hours: PositiveFloat = 5.0
    """Mean of the second, in hours."""
    days: PositiveFloat = 8.0
    """Mean of the third, in days."""

    @model_validator(mode="after")
    def _shares(self) -> DelayMixture:
        if self.within_minutes + self.within_hours > 1:
            raise ValueError(
                "shares within_minutes + within_hours = "
                f"{self.within_minutes + self.within_hours:g}; wanted at most 1"
            )
        return self

    def slower(self, quick: float) -> DelayMixture:
        """With the shares within minutes and hours multiplied by a factor of at most 1."""
        shares = {name: getattr(self, name) * quick for name in ("within_minutes", "within_hours")}
        return self.model_copy(update=shares)


class ConversionType(Frozen):
    """A kind of conversion."""

    name: Name
    median_cvr: Annotated[float, Field(gt=0, lt=1)]
    """Median over setups of P(conversion within the attribution window | click)."""
    hardness: Annotated[float, Field(ge=0, le=1)]
    """Place between the easiest kind (0) and the hardest (1): kinds far apart share less."""
    intent_sd: Annotated[float, Field(ge=0, le=3)]
    """sd on the log-odds of a user's general intent for conversions of this kind."""
    delay: DelayMixture
    click_cost: PositiveFloat
    """Median price of a click, US dollars."""


class AdvertiserType(Frozen):
    """A line of business."""

    name: Name
    weight: PositiveFloat
    """Share of advertisers, up to scale."""
    categories: Annotated[tuple[Name, ...], Field(min_length=1)]
    """Product categories, each as likely."""
    goals: Annotated[Mapping[str, PositiveFloat], Field(min_length=1)]
    """Conversion types that such advertisers count, by weight."""


class Device(Frozen):
    """A kind of device."""

    name: Name
    weight: PositiveFloat
    """Share of users whose main device it is, up to scale."""
    soft: Effect
    """Effect on the log-odds of a conversion of hardness 0."""
    hard: Effect
    """The same for hardness 1; kinds between lie on the line."""
    in_app: bool
    """Clicks come from apps, and so have an `app_id`."""


def _type(
    name: str,
    cvr: float,
    hardness: float,
    sd: float,
    delay: tuple[float, float, float],
    cost: float,
) -> ConversionType:
    """A type; `delay` is (share within minutes, share within hours, mean days of the others)."""
    minutes, hours, days = delay
    mixture = DelayMixture(within_minutes=minutes, within_hours=hours, days=days)
    return ConversionType(
        name=name,
        median_cvr=cvr,
        hardness=hardness,
        intent_sd=sd,
        delay=mixture,
        click_cost=cost,
    )


# Over the conversions of a whole log about 35% come within an hour and 50% within a day
# (Chapelle, KDD 2014); harder kinds take longer.
CONVERSION_TYPES = (
    _type("landing_view", 0.25, 0.00, 0.60, (0.36, 0.10, 7.0), 0.15),
    _type("add_to_cart", 0.04, 0.20, 0.70, (0.31, 0.10, 7.0), 0.30),
    _type("lead", 0.015, 0.45, 0.75, (0.28, 0.10, 8.0), 0.60),
    _type("sign_up", 0.008, 0.65, 0.80, (0.28, 0.10, 8.0), 0.50),
    _type("purchase", 0.002, 0.90, 0.95, (0.20, 0.10, 9.0), 0.70),
    _type("high_value", 0.0005, 1.00, 1.05, (0.12, 0.08, 12.0), 1.20),
)


def _advertisers(
    name: str, weight: float, categories: tuple[str, ...], goals: tuple[float, ...]
) -> AdvertiserType:
    kinds = (kind.name for kind in CONVERSION_TYPES)
    weights = {kind: goal for kind, goal in zip(kinds, goals, strict=True) if goal > 0}
    return AdvertiserType(name=name, weight=weight, categories=categories, goals=weights)


ADVERTISER_TYPES = (
    _advertisers("retail", 0.34, ("fashion", "grocery", "home"), (0.2, 0.3, 0.05, 0.1, 0.3, 0.05)),
    _advertisers("travel", 0.14, ("flights", "hotels"), (0.2, 0.15, 0.1, 0.1, 0.25, 0.2)),
    _advertisers("finance", 0.16, ("banking", "insurance"), (0.15, 0, 0.3, 0.25, 0.1, 0.2)),
    _advertisers("gaming", 0.12, ("casual_games", "core_games"), (0.2, 0, 0, 0.5, 0.25, 0.05)),
    _advertisers("education", 0.10, ("courses",), (0.25, 0.05, 0.35, 0.25, 0.1, 0)),
    _advertisers("business", 0.14, ("software", "services"), (0.25, 0, 0.35, 0.25, 0.05, 0.1)),
)

DEVICES = (
    Device(name="mobile", weight=0.62, soft=0.10, hard=-0.25, in_app=True),
    Device(name="desktop", weight=0.28, soft=-0.15, hard=0.40, in_app=False),
    Device(name="tablet", weight=0.07, soft=0.0, hard=0.10, in_app=True),
    Device(name="tv", weight=0.03, soft=-0.30, hard=-0.40, in_app=False),
)

MISSING: Mapping[str, float] = MappingProxyType(
    {
        # The first three are missing by user (no consent, no account), the others by click.
        "user_id": 0.10,
        "user_segment": 0.25,
        "user_interest": 0.20,
        "city": 0.05,
        "user_engagement": 0.15,
        "visits_7d": 0.10,
        "hours_since_last_visit": 0.30,
        "orders_90d": 0.20,
        "category_affinity": 0.45,
        "viewability": 0.15,
        "offer_price": 0.05,
    }
)
"""Share of empty cells by column. The `app_id` of a click outside an app is empty besides."""
