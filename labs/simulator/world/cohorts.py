"""Draws the population: the first week's market, then each week's newcomers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import logit

from common.arrays import Floats, Indices, Ints, Ints32
from labs.simulator.settings import SimulatorSettings
from labs.simulator.world.effects import directions
from labs.simulator.world.population import NEVER, Population, hardness, product_categories
from labs.simulator.world.sampling import Sampler
from labs.simulator.world.streams import Purpose, generator

MAIN_GOAL_SHARE = 0.7
"""Share of clicks that the first of a campaign's two goals has."""

COST_SD = 0.4
"""sd of log click cost between setups of a type."""


@dataclass(frozen=True)
class _Advertisers:
    kind: Ints32
    category: Ints32
    weight: Floats
    normals: Floats
    first_goal: Ints32
    goals: Ints32

    def __add__(self, other: _Advertisers) -> _Advertisers:
        return _Advertisers(
            *(np.concatenate([mine, theirs]) for mine, theirs in zip(
                vars(self).values(), vars(other).values(), strict=True
            ))
        )  # fmt: skip


def draw_population(settings: SimulatorSettings, weeks: int) -> Population:
    """The market over so many weeks; each week's newcomers come from a stream of their own."""
    population, advertisers = _cohort(settings, 0, None, None)
    for week in range(1, weeks):
        newcomers, advertisers = _cohort(settings, week, population, advertisers)
        population += newcomers
    return population


def _cohort(
    settings: SimulatorSettings,
    week: int,
    before: Population | None,
    known: _Advertisers | None,
) -> tuple[Population, _Advertisers]:
    """What appears in a week, and all advertisers known by its end.

    A world is its seed: what is drawn, and in which order, stays as it is.
    """
    rng = generator(settings.seed, Purpose.POPULATION, week)
    goals_before = 0 if before is None else len(before.goal_type)
    campaigns_before = 0 if before is None else len(before.first_day)
    advertisers_before = 0 if known is None else len(known.kind)

    new, goal_owner, goal_type = _advertisers(settings, rng, week, goals_before)
    everyone = new if known is None else known + new
    campaigns = _campaigns(settings, rng, week, len(new.kind), advertisers_before)
    owner = campaigns.advertiser
    setup_row, setup_goal, setup_share = _campaign_goals(
        rng, everyone.first_goal[owner], everyone.goals[owner], settings.size.second_goal
    )
    all_types = goal_type if before is None else np.concatenate([before.goal_type, goal_type])
    kinds = all_types[setup_goal]
    campaign_normals = rng.standard_normal((len(owner), 2))
    creatives = _creatives(settings, rng, len(owner))
    declared = _declared(settings, rng, goal_type)
    cost = np.array([kind.click_cost for kind in settings.types])[kinds]

    newcomers = Population(
        advertiser_kind=new.kind,
        advertiser_category=new.category,
        advertiser_weight=new.weight,
        goal_advertiser=(goal_owner + advertisers_before).astype(np.int32),
        goal_type=goal_type,
        goal_declared=declared,
        campaign_advertiser=owner,
        campaign_weight=campaigns.weight,
        first_day=campaigns.first_day,
        end_day=campaigns.end_day,
        creative_campaign=(creatives.campaign + campaigns_before).astype(np.int32),
        creative_weight=creatives.weight,
        creative_normals=creatives.normals,
        creative_price=_prices(rng, creatives.normals),
        setup_campaign=(setup_row + campaigns_before).astype(np.int32),
        setup_goal=setup_goal,
        setup_share=setup_share,
        setup_logit=_logits(
            settings, kinds, everyone.normals[owner[setup_row]], campaign_normals[setup_row]
        ),
        setup_cost=cost * np.exp(COST_SD * rng.standard_normal(len(kinds))),
        setup_cohort=np.full(len(kinds), week, dtype=np.int32),
    )
    return newcomers, everyone


def _advertisers(
    settings: SimulatorSettings, rng: np.random.Generator, week: int, goals: int
) -> tuple[_Advertisers, Ints32, Ints32]:
    """A week's new advertisers; their goals' owners and types, by owner.

    Args:
      goals: of all advertisers before.
    """
    ranks, kinds = _popularity(settings, rng, week), settings.advertiser_types
    names = product_categories(settings)
    kind = Sampler(np.array([k.weight for k in kinds]))(rng.random(len(ranks)))
    pick = rng.random(len(ranks))
    category = np.array(
        [
            names.index(kinds[k].categories[int(u * len(kinds[k].categories))])
            for k, u in zip(kind, pick, strict=True)
        ],
        dtype=np.int32,
    )
    with np.errstate(divide="ignore"):
        liking = np.log([[k.goals.get(t.name, 0.0) for t in settings.types] for k in kinds])
    # The k largest of log weight + Gumbel noise are k draws by weight without replacement.
    order = np.argsort(-(liking[kind] + rng.gumbel(size=(len(ranks), len(settings.types)))))
    wanted = rng.integers(1, settings.size.goals_per_advertiser + 1, len(ranks))
    count = np.minimum(wanted, np.isfinite(liking[kind]).sum(axis=1))
    owner, place = np.nonzero(np.arange(len(settings.types)) < count[:, None])
    advertisers = _Advertisers(
        kind=kind,
        category=category,
        weight=ranks.astype(np.float64) ** -settings.popularity.advertisers,
        normals=rng.standard_normal((len(ranks), 2)),
        first_goal=(goals + np.cumsum(count) - count).astype(np.int32),
        goals=count.astype(np.int32),
    )
    return advertisers, owner.astype(np.int32), order[owner, place].astype(np.int32)


def _popularity(settings: SimulatorSettings, rng: np.random.Generator, week: int) -> Ints:
    """Ranks of a week's new advertisers: all of them in the first week, any later."""
    n = settings.size.advertisers
    if week == 0:
        return rng.permutation(n) + 1
    return rng.integers(1, n + 1, rng.poisson(settings.churn.new_advertisers * n))


class _Campaigns(NamedTuple):
    advertiser: Ints32
    weight: Floats
    first_day: Ints32
    end_day: Ints32


def _campaigns(
    settings: SimulatorSettings, rng: np.random.Generator, week: int, arrivals: int, before: int
) -> _Campaigns:
    """A week's new campaigns, of its new advertisers and of `before` older ones."""
    size, churn = settings.size, settings.churn
    own = 1 + rng.poisson(size.campaigns_per_advertiser - 1, arrivals)
    expected = size.advertisers * size.campaigns_per_advertiser
    more = rng.poisson(churn.new_campaigns * expected) if week else 0
    of_new = np.repeat(np.arange(arrivals) + before, own)
    of_older = rng.integers(0, max(before, 1), more)
    later_rank = rng.integers(1, int(np.ceil(size.campaigns_per_advertiser)) + 1, more)
    rank = np.concatenate([_places(own), later_rank])

    first_day = (7 * week + rng.integers(0, 7, len(rank)) * (week > 0)).astype(np.int32)
    life = 7 + rng.exponential(churn.lifetime_days, len(rank)).astype(np.int32)
    lasting = rng.random(len(rank)) < churn.always_on
    if week == 0:
        # One campaign that never ends, so that no day is without a setup.
        lasting[0] = True
    return _Campaigns(
        np.concatenate([of_new, of_older]).astype(np.int32),
        rank.astype(np.float64) ** -settings.popularity.campaigns,
        first_day,
        np.where(lasting, NEVER, first_day + life).astype(np.int32),
    )


def _campaign_goals(
    rng: np.random.Generator, first: Ints32, count: Ints32, second_goal: float
) -> tuple[Indices, Ints32, Floats]:
    """One or two different goals of each campaign: campaign rows, goals and click shares."""
    one = (rng.random(len(first)) * count).astype(np.int32)
    step = 1 + (rng.random(len(first)) * np.maximum(count - 1, 1)).astype(np.int32)
    both = (rng.random(len(first)) < second_goal) & (count > 1)
    goals = np.stack([first + one, first + (one + step) % count], axis=1)
    shares = np.stack(
        [np.where(both, MAIN_GOAL_SHARE, 1.0), np.where(both, 1 - MAIN_GOAL_SHARE, 0.0)], axis=1
    )
    row, place = np.nonzero(shares > 0)
    return row, goals[row, place].astype(np.int32), shares[row, place]


class _Creatives(NamedTuple):
    campaign: Indices
    weight: Floats
    normals: Floats


def _creatives(settings: SimulatorSettings, rng: np.random.Generator, campaigns: int) -> _Creatives:
    """Creatives of new campaigns, which are numbered from 0 here."""
    count = 1 + rng.poisson(settings.size.creatives_per_campaign - 1, campaigns)
    rank = _places(count)
    return _Creatives(
        np.repeat(np.arange(campaigns), count),
        rank.astype(np.float64) ** -settings.popularity.creatives,
        rng.standard_normal((len(rank), 2)),
    )


def _places(counts: Ints) -> Ints:
    """1 to n for each count n, one after the other."""
    places: Ints = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + 1
    return places


def _declared(settings: SimulatorSettings, rng: np.random.Generator, types: Ints32) -> Ints32:
    """The types that new goals are declared to be, some of them another than they are."""
    kinds = len(settings.types)
    shift = rng.integers(1, kinds, len(types))
    wrong = rng.random(len(types)) < settings.rates.mistagged
    return np.where(wrong, (types + shift) % kinds, types).astype(np.int32)


def _logits(
    settings: SimulatorSettings, kinds: Ints32, advertiser: Floats, campaign: Floats
) -> Floats:
    """logit CVR = logit(type's median) + advertiser's effect + campaign's effect, [setups]."""
    rates, hard = settings.rates, hardness(settings)
    medians = logit(np.array([kind.median_cvr for kind in settings.types]))
    by_advertiser = directions(hard, rates.advertiser_correlation)[kinds]
    by_campaign = directions(hard, rates.campaign_correlation)[kinds]
    total: Floats = (
        medians[kinds]
        + rates.advertiser_sd * (advertiser * by_advertiser).sum(axis=1)
        + rates.campaign_sd * (campaign * by_campaign).sum(axis=1)
    )
    return total


def _prices(rng: np.random.Generator, normals: Floats) -> Floats:
    """Price of what a creative offers, US dollars: dear offers are looked at, cheap ones bought."""
    noise = rng.standard_normal(len(normals))
    score = 0.6 * normals[:, 0] - 0.6 * normals[:, 1] + np.sqrt(0.28) * noise
    price: Floats = np.exp(3.2 + 0.9 * score)
    return price
