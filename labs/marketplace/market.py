"""A budget-split A/B test of two scorers over simulated ad requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pyarrow as pa

from common.arrays import Bools, Floats, Indices, Ints32
from common.statistics.sums import Sums
from labs.marketplace.auction import UNSOLD, clear_under_budgets
from labs.marketplace.economy import daily_budgets, draw_economy
from labs.marketplace.scorers import AdScorer
from labs.marketplace.settings import MarketSettings
from labs.simulator.log.requests import Requests, RequestSource
from labs.simulator.log.tables import LogTables
from labs.simulator.world.seasonality import daily_clicks
from labs.simulator.world.streams import Purpose, generator
from labs.simulator.world.world import World
from schemas.setup_id import setup_ids

VARIANTS = ("control", "variant")
DRAWS = ("coin", "click", "conversion", "participation")


@dataclass(frozen=True)
class Market:
    """A market's outcome.

    Attributes:
      outcome: a row per setup, day and variant, as the A/B report reads it: `setup`,
        `advertiser`, `day`, `variant`, `requests` (each request of the variant counts once, for
        the setup in its first place, so that the column adds up to the variant's traffic),
        `impressions`, `clicks`, `conversions`, `spend` and `budget` (US dollars).
      candidates: sums by variant over true and predicted probabilities of all candidate ads of all
        requests, whoever saw them.
      won: the same of the ads that it showed.
    """

    outcome: pa.Table
    candidates: Mapping[str, Sums]
    won: Mapping[str, Sums]


def run_market(
    world: World,
    scorers: Mapping[str, AdScorer],
    settings: MarketSettings,
    progress: Callable[[int, int], None] | None = None,
) -> Market:
    """Runs the test day by day.

    An ad bids target CPA * pCVR * ctr for the impression. Each variant has its share of the
    traffic and half of every setup's daily budget (both whole with twins), paces by itself, and
    never sees the other's auctions.

    Args:
      world: of the simulated log.
      scorers: one for `control`, one for `variant`.
      settings: see `MarketSettings`.
      progress: called with (requests done, requests in all) after each day.

    Raises:
      InputError: the market's days lie outside the log, or no setup is in the market.
    """
    economy = draw_economy(world, settings)
    source = RequestSource(world, settings.seed)
    start = world.settings.start_date + timedelta(days=economy.first_day)
    counts = daily_clicks(settings.requests, settings.days, start)
    shares = {name: np.ones(len(economy.hard)) for name in VARIANTS}
    candidates = dict.fromkeys(VARIANTS, Sums())
    won = dict.fromkeys(VARIANTS, Sums())
    tables, done = [], 0
    names = _Names(world)
    for offset, count in enumerate(counts):
        day = economy.first_day + offset
        weights = world.population.setup_weights(day) * economy.hard
        requests = source.day(day, count, settings.candidates, weights)
        draws = {
            name: generator(world.settings.seed, Purpose.REQUESTS, settings.seed, day, 0, 0, i)
            for i, name in enumerate(DRAWS)
        }
        uniforms = {
            "click": draws["click"].random(count),
            "conversion": draws["conversion"].random(count),
            "participation": draws["participation"].random((count, settings.candidates)),
        }
        coin = draws["coin"].random(count) < 0.5
        budgets = daily_budgets(world, weights, count, settings)
        if settings.traffic == "split":
            budgets = budgets / 2
        for name in VARIANTS:
            rows = np.arange(count)
            if settings.traffic == "split":
                rows = np.flatnonzero(coin == (name == VARIANTS[0]))
            prediction = _scored(requests, scorers[name], settings.batch_size)
            first = ~requests.repeated
            candidates[name] += Sums.of(requests.ads.probability[first], prediction[first])
            played = _play(
                requests, prediction, rows, budgets, shares[name], economy.target_cpa,
                uniforms, settings,
            )  # fmt: skip
            shares[name] = played.shares
            won[name] += played.won
            tables.append(names.table(day, name, weights > 0, played, budgets))
        done += count
        if progress is not None:
            progress(done, settings.requests)
    return Market(pa.concat_tables(tables), candidates, won)


@dataclass(frozen=True)
class _Played:
    """A variant's day: sums by setup, [setups], the pacing shares at its end, and its quality."""

    requests: Floats
    impressions: Floats
    clicks: Floats
    conversions: Floats
    spend: Floats
    shares: Floats
    won: Sums


def _play(
    requests: Requests,
    prediction: Floats,
    rows: Indices,
    budgets: Floats,
    shares: Floats,
    target_cpa: Floats,
    uniforms: Mapping[str, Floats],
    settings: MarketSettings,
) -> _Played:
    """Holds the auctions of the requests `rows`, ascending, slot by slot."""
    shape = (len(requests), requests.places)
    setup = requests.ads.setup.reshape(shape)[rows]
    probability = requests.ads.probability.reshape(shape)[rows]
    predicted = prediction.reshape(shape)[rows]
    bids = target_cpa[setup] * predicted * settings.ctr
    bids[requests.repeated.reshape(shape)[rows]] = 0.0
    left, stopped = budgets.copy(), budgets <= 0
    winner, price = np.full(len(rows), UNSOLD, np.intp), np.zeros(len(rows))
    slots = np.array_split(np.arange(len(rows)), settings.slots)
    for number, slot in enumerate(slots, start=1):
        part, whose = bids[slot], setup[slot]
        if settings.pacing == "throttle":
            part = np.where(uniforms["participation"][rows[slot]] < shares[whose], part, 0.0)
        elif settings.pacing == "bid":
            part = part * shares[whose]
        sales = clear_under_budgets(
            part,
            whose,
            left,
            stopped,
            second_price=settings.auction == "second_price",
            reserve=settings.reserve,
        )
        winner[slot], price[slot] = sales.winner, sales.price
        if settings.pacing != "none":
            planned = budgets * (number / settings.slots)
            shares = adjusted(shares, budgets - left, planned, settings.pacing_step)

    sold = np.flatnonzero(winner != UNSOLD)
    place = winner[sold]
    buyer, p = setup[sold, place], probability[sold, place]
    if settings.outcomes == "expected":
        clicks: Floats = np.full(len(sold), settings.ctr)
        conversions: Floats = p * settings.ctr
    else:
        clicks = (uniforms["click"][rows[sold]] < settings.ctr).astype(np.float64)
        conversions = clicks * (uniforms["conversion"][rows[sold]] < p)

    def total(who: Ints32, values: Floats | None = None) -> Floats:
        return np.bincount(who, values, minlength=len(budgets)).astype(np.float64)

    return _Played(
        requests=total(setup[:, 0]),
        impressions=total(buyer),
        clicks=total(buyer, clicks),
        conversions=total(buyer, conversions),
        spend=total(buyer, price[sold]),
        shares=shares,
        won=Sums.of(p, predicted[sold, place]),
    )


def _scored(requests: Requests, scorer: AdScorer, batch: int) -> Floats:
    ads = requests.ads
    parts = [scorer(ads.rows(i, min(i + batch, len(ads)))) for i in range(0, len(ads), batch)]
    return np.concatenate(parts) if parts else np.empty(0)


class _Names:
    """Turns sums by setup into rows of the outcome."""

    def __init__(self, world: World) -> None:
        names = LogTables(world).setup_names
        self._setup = setup_ids([names["campaign_id"], names["conversion_goal"]])
        self._advertiser = names["advertiser_id"]
        self._start = world.settings.start_date

    def table(
        self,
        day: int,
        variant: str,
        live: Bools,
        played: _Played,
        budgets: Floats,
    ) -> pa.Table:
        index = np.flatnonzero(live)
        amounts = {
            name: pa.array(getattr(played, name)[index])
            for name in ("requests", "impressions", "clicks", "conversions", "spend")
        }
        return pa.table(
            {
                "setup": self._setup.take(pa.array(index)),
                "advertiser": self._advertiser.take(pa.array(index)),
                "day": pa.array([(self._start + timedelta(days=day)).isoformat()] * len(index)),
                "variant": pa.array([variant] * len(index)),
                **amounts,
                "budget": pa.array(budgets[index]),
            }
        )


LOWEST = 1e-3
"""Floor of the share, so that a setup finds its way back."""


def adjusted(share: Floats, spent: Floats, planned: Floats, step: float) -> Floats:
    """Next share, [setups]: less by `step` where more was spent than planned, otherwise more.

    The rule of Agarwal, Ghosh, Wei and You, "Budget Pacing for Targeted Online Advertisements at
    LinkedIn" (KDD 2014).

    Args:
      share: share of its auctions (or of its bid) that each setup goes for, in (0, 1].
      spent, planned: so far in the day, US dollars.
      step: relative change.
    """
    return np.clip(np.where(spent > planned, share * (1 - step), share * (1 + step)), LOWEST, 1.0)
