"""All that is fixed before the first click: market, users, context, and setups' intercepts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from common.arrays import Floats
from labs.simulator.settings import SimulatorSettings
from labs.simulator.world.calibration import HIGHEST, LOWEST
from labs.simulator.world.cohorts import draw_population
from labs.simulator.world.context import Placements, creative_effects, draw_context
from labs.simulator.world.delays import Delays
from labs.simulator.world.drift import drift_paths
from labs.simulator.world.intent import Loadings, Users, draw_loadings, draw_users
from labs.simulator.world.intercepts import setup_intercepts
from labs.simulator.world.population import Population, product_categories


@dataclass(frozen=True)
class World:
    """A simulated market.

    Attributes:
      settings: what it was drawn from.
      population, users, loadings, context, delays: see their modules.
      categories: names of the product categories.
      creative: effects on the log-odds, [creatives, types].
      cvr: true CVR, [setups, weeks].
      intercept: log-odds to which a click's effects are added, [setups, weeks].
    """

    settings: SimulatorSettings
    population: Population
    users: Users
    loadings: Loadings
    context: Placements
    delays: Delays
    categories: tuple[str, ...]
    creative: Floats
    cvr: Floats
    intercept: Floats


def build_world(settings: SimulatorSettings) -> World:
    """Draws everything but the clicks."""
    weeks = -(-settings.days // 7)
    population = draw_population(settings, weeks)
    loadings = draw_loadings(settings)
    users = draw_users(settings, loadings)
    context = draw_context(settings, users, population)
    creative = creative_effects(settings, population)
    wave, jumps = drift_paths(settings.drift, settings.seed, population.setup_cohort, weeks)
    wanted = np.clip(population.setup_logit[:, None] + wave + jumps, LOWEST, HIGHEST)
    return World(
        settings=settings,
        population=population,
        users=users,
        loadings=loadings,
        context=context,
        delays=Delays(
            [kind.delay.slower(settings.quick_conversions) for kind in settings.types],
            settings.attribution_window_days,
        ),
        categories=product_categories(settings),
        creative=creative,
        cvr=expit(wanted),
        intercept=setup_intercepts(
            settings, population, users, loadings, context, creative, wanted
        ),
    )
