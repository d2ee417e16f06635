from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logit

from labs.simulator.log.clicks import ClickSource
from labs.simulator.settings import SimulatorSettings
from labs.simulator.world.world import build_world


def test_log_odds_are_the_sum_of_all_effects() -> None:
    settings = SimulatorSettings(
        clicks=2000,
        days=14,
        seed=9,
        size={"advertisers": 20, "users": 300},
        intent={"momentary_sd": 0},
    )
    world = build_world(settings)
    market, context, users = world.population, world.context, world.users
    (clicks,) = ClickSource(world).day(9, 300, chunk=1000)
    for i in range(len(clicks)):
        user, setup = clicks.user[i], clicks.setup[i]
        kind = market.goal_type[market.setup_goal[setup]]
        advertiser = market.campaign_advertiser[market.setup_campaign[setup]]
        category = market.advertiser_category[advertiser]
        in_app = settings.context.devices[clicks.device[i]].in_app
        total = (
            world.intercept[setup, 1]
            + users.factors[user] @ world.loadings.effect[kind, category]
            + world.creative[clicks.creative[i], kind]
            + context.city[users.city[user], kind]
            + context.hour[clicks.timestamp[i] % 86_400 // 3600, kind]
            + context.device[clicks.device[i], kind]
            + (context.app[clicks.app[i], kind] if in_app else 0.0)
            + context.publisher[clicks.publisher[i], kind]
        )
        assert logit(clicks.probability[i]) == pytest.approx(total, abs=1e-5)
        assert market.creative_campaign[clicks.creative[i]] == market.setup_campaign[setup]


def test_labels_are_drawn_from_the_probabilities() -> None:
    settings = SimulatorSettings(
        clicks=100_000, days=1, seed=9, size={"advertisers": 20, "users": 300}
    )
    (clicks,) = ClickSource(build_world(settings)).day(0, 100_000, chunk=100_000)
    p = clicks.probability
    z = (clicks.label.sum() - p.sum()) / np.sqrt((p * (1 - p)).sum())
    assert abs(z) < 4
    # Labels tell of p itself, not of its mean alone: the slope of labels on p is 1.
    centred = p - p.mean()
    slope = (centred @ clicks.label) / (centred @ p)
    error = np.sqrt((centred**2 * p * (1 - p)).sum()) / (centred @ p)
    assert slope == pytest.approx(1, abs=4 * error)


def test_users_click_mostly_on_their_main_device() -> None:
    settings = SimulatorSettings(
        clicks=100_000, days=1, seed=9, size={"advertisers": 20, "users": 5000}
    )
    world = build_world(settings)
    (clicks,) = ClickSource(world).day(0, 100_000, chunk=100_000)
    mobile = world.users.device[clicks.user] == 0
    share = (clicks.device[mobile] == 0).mean()
    # .8 on the main device, and .2 of any, of which .62 are mobile.
    assert share == pytest.approx(0.924, abs=4 * np.sqrt(0.07 / mobile.sum()))
