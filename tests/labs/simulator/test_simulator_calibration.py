from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.polynomial.hermite_e import hermegauss
from scipy.integrate import quad
from scipy.special import expit, logit
from scipy.stats import norm

from labs.simulator.settings import SimulatorSettings
from labs.simulator.world.calibration import STEP, MeanProbability, Pmf, solve_intercepts
from labs.simulator.world.seasonality import HOURLY
from labs.simulator.world.world import World, build_world

ONE = np.zeros(1, dtype=np.int32)


def logistic_normal_mean(intercept: float, sd: float) -> float:
    """E[sigmoid(intercept + N(0, sd^2))] by adaptive quadrature."""
    return quad(lambda z: expit(intercept + sd * z) * norm.pdf(z), -12, 12, epsabs=1e-14)[0]


@pytest.mark.parametrize("intercept", [-9.0, -4.3, -1.0, 0.4, 3.0])
@pytest.mark.parametrize("sd", [0.3, 1.1, 2.0])
def test_mean_probability_is_the_logistic_normal_integral(intercept: float, sd: float) -> None:
    mean = expit(MeanProbability([Pmf.normal(sd)]).logit(ONE, np.array([intercept])))[0]
    assert mean == pytest.approx(logistic_normal_mean(intercept, sd), rel=5e-4)


def test_adding_effects_is_enumerating_them() -> None:
    a, b = np.array([-2, 0, 3]) * STEP, np.array([0, 7]) * STEP
    wa, wb = np.array([0.2, 0.5, 0.3]), np.array([0.6, 0.4])
    total = Pmf.of(a, wa) + Pmf.of(b, wb)
    for i, j in product(range(3), range(2)):
        place = round((a[i] + b[j]) / STEP) - total.first
        assert total.mass[place] == pytest.approx(wa[i] * wb[j])
    assert total.mass.sum() == pytest.approx(1)


def test_mixing_effects() -> None:
    mixed = Pmf(-1, np.array([1.0])).mix(Pmf(2, np.array([0.5, 0.5])), 0.25)
    assert mixed.first == -1
    assert mixed.mass.tolist() == [0.25, 0, 0, 0.375, 0.375]


def test_values_off_the_grid_keep_their_mean() -> None:
    values, weights = np.array([-0.7312, 0.0049, 1.2345]), np.array([0.5, 0.2, 0.3])
    pmf = Pmf.of(values, weights)
    points = (pmf.first + np.arange(len(pmf.mass))) * STEP
    assert points @ pmf.mass == pytest.approx(values @ weights)


def test_intercepts_give_the_wanted_rate_over_creatives() -> None:
    rates = np.array([0.3, 0.004])
    row = np.array([0, 0, 1])
    effect, share = np.array([0.5, -0.8, 0.2]), np.array([0.7, 0.3, 1.0])
    group = np.zeros(3, dtype=np.int32)
    means = MeanProbability([Pmf.normal(0.9)])
    b = solve_intercepts(logit(rates), group, means, row, effect, share)
    first = 0.7 * logistic_normal_mean(b[0] + 0.5, 0.9) + 0.3 * logistic_normal_mean(
        b[0] - 0.8, 0.9
    )
    assert first == pytest.approx(0.3, rel=5e-4)
    assert logistic_normal_mean(b[1] + 0.2, 0.9) == pytest.approx(0.004, rel=5e-4)


def enumerated_rate(world: World, setup: int, week: int) -> float:
    """A setup's mean probability, by going through every combination of everything."""
    market, context, users = world.population, world.context, world.users
    kind, category = market.setup_type[setup], market.setup_category[setup]
    person = users.factors.astype(float) @ world.loadings.effect[kind, category].astype(float)
    surfaces = []
    for device, weight in enumerate(context.device_weight):
        apps = enumerate(context.app_weight) if context.in_app[device] else [(-1, 1.0)]
        surfaces += [
            (context.device[device, kind] + context.app[app, kind], weight * share)
            for app, share in apps
        ]
    nodes, node_weights = hermegauss(24)
    own = np.flatnonzero(market.creative_campaign == market.setup_campaign[setup])
    parts = [
        (person + context.city[users.city, kind], users.weight),
        tuple(np.array(surfaces).T),
        (context.hour[:, kind], context_hours()),
        (world.settings.intent.momentary_sd * nodes, node_weights / node_weights.sum()),
    ]
    share = market.creative_weight[own] / market.creative_weight[own].sum()
    styles = context.style[:, context.creative_style[own]]
    pairs = context.publisher[:, kind, None] + styles + world.creative[own, kind]
    parts.append((pairs.ravel(), np.outer(context.publisher_weight, share).ravel()))
    values, weights = np.array([world.intercept[setup, week]]), np.ones(1)
    for effect, share in parts:
        values = np.add.outer(values, effect).ravel()
        weights = np.multiply.outer(weights, share).ravel()
    return float(weights @ expit(values))


def context_hours() -> np.ndarray:
    return np.array(HOURLY) / 1000


@pytest.mark.parametrize("style_sd", [0.0, 1.5])
def test_every_setup_has_its_rate_by_enumeration(style_sd: float) -> None:
    settings = SimulatorSettings(
        clicks=1000,
        days=14,
        seed=5,
        size={"advertisers": 4, "users": 25, "publishers": 3, "apps": 2, "cities": 3,
              "campaigns_per_advertiser": 2, "creatives_per_campaign": 2},
        # Users' main devices would tie device to user, and the product would not be all.
        context={"main_device": 0, "style_sd": style_sd, "styles": 3},
    )  # fmt: skip
    world = build_world(settings)
    assert world.context.style.any() == (style_sd > 0)
    for setup in range(len(world.cvr)):
        week = setup % 2
        assert enumerated_rate(world, setup, week) == pytest.approx(
            world.cvr[setup, week], rel=1e-3
        )


def sums_of_setups(log, setups):
    """By setup: conversions, true probabilities, rates, and what their variance needs."""
    frame = log[["setup_id", "day", "label", "probability"]].merge(
        setups[["setup_id", "day", "cvr"]]
    )
    frame = frame.assign(
        clicks=1, variance=frame.cvr * (1 - frame.cvr), square=frame.probability**2
    )
    return frame.groupby("setup_id").sum()


def test_setups_convert_at_their_rate(simulated) -> None:
    """Clicks of a setup are independent draws over users and contexts, so that conversions have
    variance sum of cvr (1 - cvr). The squared z-scores of m setups have mean 1 and sd
    sqrt(2 / m)."""
    setups = simulated.setups.copy()
    days = setups.date.astype("datetime64[ns]")
    setups["day"] = (days - days.min()).dt.days
    by_setup = sums_of_setups(simulated.log, setups)
    often = by_setup[by_setup.variance > 15]
    assert len(often) > 100
    z = (often.label - often.cvr) / np.sqrt(often.variance)
    assert abs(z.sum()) / np.sqrt(len(z)) < 4
    assert (z**2).mean() == pytest.approx(1, abs=4 * np.sqrt(2 / len(z)))
    # The same with the true probabilities in place of labels: their spread within a setup is
    # smaller than the labels', and so is the tolerance.
    spread = often.square - often.probability**2 / often.clicks
    z = (often.probability - often.cvr) / np.sqrt(spread)
    assert abs(z.sum()) / np.sqrt(len(z)) < 4
    assert (z**2).mean() == pytest.approx(1, abs=6 * np.sqrt(2 / len(z)))


def test_true_probabilities_are_calibrated_in_each_decile(simulated) -> None:
    log = simulated.log
    decile = np.argsort(np.argsort(log.probability.to_numpy())) * 10 // len(log)
    for k in range(10):
        p, y = log.probability[decile == k], log.label[decile == k]
        z = (y.sum() - p.sum()) / np.sqrt((p * (1 - p)).sum())
        assert abs(z) < 4
