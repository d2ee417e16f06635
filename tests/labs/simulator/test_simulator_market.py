from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logit

from labs.simulator.settings import SimulatorSettings
from labs.simulator.world.cohorts import draw_population
from labs.simulator.world.context import creative_effects, draw_context
from labs.simulator.world.effects import effect_table
from labs.simulator.world.intent import INTENTS, draw_loadings, draw_users
from labs.simulator.world.population import Population, hardness
from labs.simulator.world.sampling import zipf_weights
from labs.simulator.world.seasonality import hour_effects

BIG = SimulatorSettings(seed=3, size={"advertisers": 4000, "users": 40_000})


@pytest.fixture(scope="module")
def market() -> Population:
    return draw_population(BIG, weeks=6)


def test_the_share_of_wrong_tags() -> None:
    size = {"advertisers": 20_000, "campaigns_per_advertiser": 1, "creatives_per_campaign": 1}
    market = draw_population(SimulatorSettings(seed=4, size=size), weeks=1)
    wrong = market.goal_type != market.goal_declared
    assert wrong.mean() == pytest.approx(0.1, abs=4 * np.sqrt(0.09 / len(wrong)))
    assert set(market.goal_declared[wrong]) == set(range(6))


def test_setup_rates_are_logit_normal_around_the_types_median(market: Population) -> None:
    for kind, settings in enumerate(BIG.types):
        rows = np.flatnonzero(market.setup_type == kind)
        _, one_each = np.unique(market.setup_advertiser[rows], return_index=True)
        offset = market.setup_logit[rows[one_each]] - logit(settings.median_cvr)
        sd = np.hypot(1.0, 0.4)
        assert offset.mean() == pytest.approx(0, abs=4 * sd / np.sqrt(len(offset)))
        assert offset.std() == pytest.approx(sd, rel=4 / np.sqrt(2 * len(offset)))


def test_setups_come_and_go(market: Population) -> None:
    first = market.first_day[market.setup_campaign]
    assert (first // 7 == market.setup_cohort).all()
    assert set(market.setup_cohort) == set(range(6))
    new_advertisers = market.setup_advertiser[market.setup_cohort == 5].max() >= 4000
    assert new_advertisers
    ended = market.end_day[market.setup_campaign] <= 42
    assert 0.05 < ended.mean() < 0.6
    assert (market.end_day - market.first_day >= 7).all()
    assert market.live(400)[0]


def test_a_longer_market_begins_as_the_shorter_one(market: Population) -> None:
    shorter = draw_population(BIG, weeks=3)
    for name, values in vars(shorter).items():
        np.testing.assert_array_equal(values, getattr(market, name)[: len(values)], err_msg=name)


def test_campaigns_share_their_advertisers_clicks(market: Population) -> None:
    weights = market.setup_weights(20)
    by_advertiser = np.bincount(market.setup_advertiser, weights)
    on = by_advertiser > 0
    np.testing.assert_allclose(by_advertiser[on], market.advertiser_weight[: len(on)][on])
    assert (weights[~market.live(20)[market.setup_campaign]] == 0).all()


def test_each_setup_is_one_goal_of_its_own_advertiser(market: Population) -> None:
    assert (market.goal_advertiser[market.setup_goal] == market.setup_advertiser).all()
    pairs = np.stack([market.setup_campaign, market.setup_goal])
    assert len(np.unique(pairs, axis=1).T) == len(market.setup_goal)
    totals = np.bincount(market.setup_campaign, market.setup_share)
    np.testing.assert_allclose(totals, 1)


def test_general_intent_is_shared_and_weighs_more_on_hard_types() -> None:
    loadings = draw_loadings(BIG)
    users = draw_users(BIG, loadings)
    effect = users.factors[:, :INTENTS] @ loadings.effect[:, 0, :INTENTS].T
    sd, correlation = effect.std(axis=0), np.corrcoef(effect.T)
    error = 4 / np.sqrt(BIG.size.users)
    assert sd == pytest.approx([kind.intent_sd for kind in BIG.types], rel=error)
    assert (np.diff([kind.intent_sd for kind in BIG.types]) > 0).all()
    assert sd.mean() == pytest.approx(0.8, abs=0.05)
    assert correlation[0, -1] == pytest.approx(0.5, abs=error)
    soft_hard = correlation[:3, 3:]
    assert 0.5 <= soft_hard.mean() <= 0.8


def test_interest_in_a_category_differs_by_type() -> None:
    loadings = draw_loadings(BIG)
    interest = loadings.effect[:, :, INTENTS:].astype(float)
    assert np.linalg.norm(interest, axis=2) == pytest.approx(0.6, rel=1e-5)
    unit = interest / 0.6
    correlation = np.einsum("tkf,skf->kts", unit, unit)
    apart = correlation[:, *np.triu_indices(len(BIG.types), 1)]
    # Random directions in 7 dimensions have cosines of sd 1 / sqrt(7), of which .8 counts.
    assert apart.mean() == pytest.approx(0.2, abs=4 * 0.8 / np.sqrt(7 * apart.size / 3))
    common = loadings.affinity[:, INTENTS:].astype(float)
    assert np.einsum("tkf,kf->tk", unit, common) == pytest.approx(np.sqrt(0.2), rel=1e-4)


def test_logged_user_signals_tell_something_but_not_all() -> None:
    loadings = draw_loadings(BIG)
    users = draw_users(BIG, loadings)
    hard = users.factors @ loadings.effect[4, 0]
    bits = (users.segment[:, None] >> np.arange(5)) & 1
    design = np.column_stack([np.ones(len(hard)), bits, users.engagement, np.log1p(users.orders)])
    fitted = design @ np.linalg.lstsq(design, hard, rcond=None)[0]
    explained = 1 - (hard - fitted).var() / hard.var()
    assert 0.25 < explained < 0.7


def test_soft_and_hard_types_want_other_hours_and_devices() -> None:
    market = draw_population(BIG, 1)
    context = draw_context(BIG, draw_users(BIG, draw_loadings(BIG)), market)
    assert np.corrcoef(context.hour[:, 0], context.hour[:, -1])[0, 1] < -0.3
    mobile, desktop = context.device[0], context.device[1]
    assert mobile[0] > 0 > desktop[0]
    assert mobile[-1] < 0 < desktop[-1]


def test_creatives_average_to_nothing_within_their_campaign() -> None:
    market = draw_population(SimulatorSettings(seed=3, size={"advertisers": 5}), weeks=1)
    effects = creative_effects(BIG, market)
    for campaign in range(len(market.first_day)):
        own = market.creative_campaign == campaign
        mean = np.average(effects[own], axis=0, weights=market.creative_weight[own])
        assert mean == pytest.approx(0, abs=1e-12)
    assert effects.std() > 0.15


def test_the_daily_wave_by_hand() -> None:
    wave = hour_effects(0.25, 13.0, 21.0, np.array([0.0, 1.0]))
    assert np.argmax(wave, axis=0).tolist() == [13, 21]
    assert wave.max(axis=0) - wave.min(axis=0) == pytest.approx([0.5, 0.5])


def test_effect_tables_have_their_mean_spread_and_correlation() -> None:
    weights = zipf_weights(3000, 0.5)
    table = effect_table(np.random.default_rng(0), weights, 0.35, 0.5, hardness(BIG))
    assert np.average(table, axis=0, weights=weights) == pytest.approx(0, abs=1e-12)
    assert np.average(table**2, axis=0, weights=weights) == pytest.approx(0.35**2)
    correlation = (weights[:, None] * table).T @ table / 0.35**2
    assert correlation[0, -1] == pytest.approx(0.5, abs=4 / np.sqrt(1 / (weights**2).sum()))
