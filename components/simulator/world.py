"""All that is fixed before the first click: market, users, context, and setups' intercepts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from components.simulator.calibration import (
    HIGHEST,
    LOWEST,
    MeanProbability,
    Pmf,
    solve_intercepts,
)
from components.simulator.cohorts import draw_population
from components.simulator.context import Context, creative_effects, draw_context
from components.simulator.delays import Delays
from components.simulator.drift import drift_paths
from components.simulator.intent import Loadings, Users, draw_loadings, draw_users
from components.simulator.population import Population, product_categories
from components.simulator.sampling import by_group
from components.simulator.seasonality import hour_shares
from components.simulator.settings import SimulatorSettings

Floats = npt.NDArray[np.float64]


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
    context: Context
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
    context = draw_context(settings, users)
    creative = creative_effects(settings, population)
    wave, jumps = drift_paths(settings.drift, settings.seed, population.setup_cohort, weeks)
    wanted = np.clip(population.setup_logit[:, None] + wave + jumps, LOWEST, HIGHEST)
    return World(
        settings=settings,
        population=population,
        users=users,
        loadings=loadings,
        context=context,
        delays=Delays([kind.delay for kind in settings.types], settings.attribution_window_days),
        categories=product_categories(settings),
        creative=creative,
        cvr=expit(wanted),
        intercept=_intercepts(settings, population, users, loadings, context, creative, wanted),
    )


def _intercepts(
    settings: SimulatorSettings,
    population: Population,
    users: Users,
    loadings: Loadings,
    context: Context,
    creative: Floats,
    wanted: Floats,
) -> Floats:
    """Intercepts that give the wanted logit CVRs, [setups, weeks]."""
    categories = loadings.affinity.shape[0]
    means = MeanProbability(_effect_distributions(settings, users, loadings, context))
    kind = population.setup_type
    group = (kind * categories + population.setup_category).astype(np.int32)
    # The creatives of a campaign lie side by side: list them for each of its setups.
    counts = np.bincount(population.creative_campaign, minlength=len(population.first_day))
    count = counts[population.setup_campaign]
    begin = (np.cumsum(counts) - counts)[population.setup_campaign]
    row = np.repeat(np.arange(len(kind)), count)
    member = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count) + begin[row]
    share = by_group(population.creative_campaign, population.creative_weight)[member]
    effect = creative[member, kind[row]]
    return np.stack(
        [
            solve_intercepts(week, group, means, row, effect, share)
            for week in np.ascontiguousarray(wanted.T)
        ],
        axis=1,
    )


def _effect_distributions(
    settings: SimulatorSettings, users: Users, loadings: Loadings, context: Context
) -> list[Pmf]:
    """Of the sum of all effects but the creative's, for each type and product category in turn."""
    in_app = float(context.device_weight @ context.in_app)
    momentary = Pmf.normal(settings.intent.momentary_sd)
    distributions = []
    for kind in range(len(settings.types)):

        def device(flag: bool, kind: int = kind) -> Pmf:
            chosen = context.in_app == flag
            return Pmf.of(context.device[chosen, kind], context.device_weight[chosen])

        app = Pmf.of(context.app[:-1, kind], context.app_weight)
        if in_app <= 0 or in_app >= 1:
            surface = device(True) + app if in_app else device(False)
        else:
            surface = (device(True) + app).mix(device(False), in_app)
        around = (
            surface
            + Pmf.of(context.hour[:, kind], hour_shares())
            + Pmf.of(context.publisher[:, kind], context.publisher_weight)
            + momentary
        )
        home = context.city[users.city, kind]
        for loading in loadings.effect[kind]:
            person = (users.factors @ loading).astype(np.float64) + home
            distributions.append(Pmf.of(person, users.weight) + around)
    return distributions
