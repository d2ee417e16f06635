"""Settings of the marketplace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from schemas.base import Day, Frozen, NonNegativeFloat, PositiveFloat
from schemas.checked import checked


class MarketSettings(Frozen):
    """A budget-split A/B test in a simulated market."""

    start_date: Day | None = None
    """First day (UTC), within the log; none for the last `days` of the log. Models should not have
    been trained on the days of the market."""
    days: Annotated[int, Field(ge=1, le=3660)] = 14
    requests: Annotated[int, Field(ge=1, le=10**8)] = 200_000
    """Ad requests in all, both variants together."""
    candidates: Annotated[int, Field(ge=2, le=100)] = 8
    """Candidate ads of a request; a setup that is drawn twice for one counts once."""
    max_cvr: Annotated[float, Field(gt=0, le=1)] = 0.01
    """True CVR on the first day above which a setup is not in the market: at alpha these are the
    setups that a hard tower serves."""
    auction: Literal["second_price", "first_price"] = "second_price"
    reserve: NonNegativeFloat = 0.0
    """Lowest price of an impression, US dollars."""
    ctr: Annotated[float, Field(gt=0, le=1)] = 1.0
    """P(click | impression), the same for all ads. At 1 every impression is clicked, which with a
    constant rate is the same market with the requests left out that nobody clicks on."""
    budget_factor: PositiveFloat = 1.0
    """Daily budget of a setup over what its share of the day's clicks costs at the price per click
    of the log. Smaller budgets bind more."""
    target_sd: NonNegativeFloat = 0.3
    """sd of the log of target CPA around the log's price per click over true CVR."""
    pacing: Literal["none", "throttle", "bid"] = "bid"
    """How a budget is spread over the day. `bid`: a setup takes part in all its auctions with a
    share of its bid. `throttle`: it takes part in a share of them with all of its bid. `none`: it
    bids until its budget is spent."""
    pacing_step: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """By how much, relatively, that share moves after a slot."""
    slots: Annotated[int, Field(ge=1, le=1440)] = 48
    """Slots of a day with equally many requests; pacing acts between them."""
    traffic: Literal["split", "twin"] = "split"
    """`split`: each request goes to one variant by a fair coin, half of each budget to either.
    `twin`: both variants see every request and have every budget whole, which no real test can do;
    they differ by their bids alone."""
    outcomes: Literal["drawn", "expected"] = "drawn"
    """`drawn`: clicks and conversions are drawn from their true probabilities. `expected`: the
    probabilities themselves are added up, which takes that noise away."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Of requests, targets, coins and draws; the world keeps the log's own seed."""
    batch_size: Annotated[int, Field(ge=1, le=2**24)] = 65_536
    """Candidate ads scored at a time."""


def parse_market_settings(table: Mapping[str, Any]) -> MarketSettings:
    """Checks a table of settings.

    Raises:
      InputError: an unknown key, or a value of the wrong type or out of range.
    """
    return checked(MarketSettings, dict(table), "marketplace")
