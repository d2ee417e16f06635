"""What advertisers want and can pay: target CPAs and daily budgets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.arrays import Bools, Floats
from common.pages.text import counted
from labs.marketplace.settings import MarketSettings
from labs.simulator.world.streams import Purpose, generator
from labs.simulator.world.world import World
from schemas.errors import InputError


@dataclass(frozen=True)
class Economy:
    """The market's demand.

    Attributes:
      first_day: days since the log's first.
      hard: bool [setups], in the market.
      target_cpa: US dollars a conversion, [setups].
    """

    first_day: int
    hard: Bools
    target_cpa: Floats


def draw_economy(world: World, settings: MarketSettings) -> Economy:
    """Target CPAs: price of a click over true CVR, times exp(target_sd z), z standard normal.

    At such targets a setup that predicts its own mean bids about what its clicks cost in the log.

    Raises:
      InputError: the market's days are not in the log, or no setup is hard enough.
    """
    days, start = world.settings.days, world.settings.start_date
    first = (
        days - settings.days if settings.start_date is None else (settings.start_date - start).days
    )
    if first < 0 or first + settings.days > days:
        raise InputError(
            f"marketplace: start_date, days: seen {settings.start_date or 'the last'}, "
            f"{counted(settings.days, 'day')}; wanted days within the log's {days} from {start}"
        )
    cvr = world.cvr[:, first // 7]
    hard = cvr <= settings.max_cvr
    for day in range(first, first + settings.days):
        if not (world.population.setup_weights(day)[hard] > 0).any():
            raise InputError(
                f"marketplace: max_cvr: seen {settings.max_cvr:g}, at or below which no setup runs "
                f"on day {day} of the log; wanted at least {cvr.min():.2g}"
            )
    rng = generator(world.settings.seed, Purpose.REQUESTS, settings.seed)
    spread = np.exp(settings.target_sd * rng.standard_normal(len(cvr)))
    return Economy(first, hard, world.population.setup_cost / cvr * spread)


def daily_budgets(world: World, weights: Floats, requests: int, settings: MarketSettings) -> Floats:
    """Budgets of a day, [setups], US dollars, both variants together.

    budget_factor * (share of the day's clicks) * clicks * (price of a click in the log)

    Args:
      weights: [setups], share of the day's clicks, up to scale; 0 out of the market.
      requests: of the day.
    """
    clicks = requests * settings.ctr
    share = weights / weights.sum()
    budgets: Floats = settings.budget_factor * share * clicks * world.population.setup_cost
    return budgets
