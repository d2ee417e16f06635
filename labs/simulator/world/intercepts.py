"""The intercepts of all setups in all weeks."""

from __future__ import annotations

import numpy as np

from common.arrays import Floats
from labs.simulator.settings import SimulatorSettings
from labs.simulator.world.calibration import MeanProbability, Pmf, solve_intercepts
from labs.simulator.world.context import Placements
from labs.simulator.world.intent import Loadings, Users
from labs.simulator.world.population import Population
from labs.simulator.world.sampling import by_group
from labs.simulator.world.seasonality import hour_shares


def setup_intercepts(
    settings: SimulatorSettings,
    population: Population,
    users: Users,
    loadings: Loadings,
    context: Placements,
    creative: Floats,
    wanted: Floats,
) -> Floats:
    """Intercepts that make each setup's mean probability its CVR.

    Args:
      settings, population, users, loadings, context: see their modules.
      creative: effects of the creatives, [creatives, types].
      wanted: logit CVRs, [setups, weeks].

    Returns:
      [setups, weeks].
    """
    categories = loadings.affinity.shape[0]
    means = MeanProbability(_effect_distributions(settings, users, loadings, context))
    kind = population.setup_type
    styles = context.style.shape[1]
    group = kind * categories + population.setup_category
    # The creatives of a campaign lie side by side: list them for each of its setups.
    counts = np.bincount(population.creative_campaign, minlength=len(population.first_day))
    count = counts[population.setup_campaign]
    begin = (np.cumsum(counts) - counts)[population.setup_campaign]
    row = np.repeat(np.arange(len(kind)), count)
    member = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count) + begin[row]
    share = by_group(population.creative_campaign, population.creative_weight)[member]
    effect = creative[member, kind[row]]
    of_creative = (group[row] * styles + context.creative_style[member]).astype(np.int32)
    return np.stack(
        [
            solve_intercepts(week, of_creative, means, row, effect, share)
            for week in np.ascontiguousarray(wanted.T)
        ],
        axis=1,
    )


def _effect_distributions(
    settings: SimulatorSettings, users: Users, loadings: Loadings, context: Placements
) -> list[Pmf]:
    """Of the sum of all effects but the creative's own, for each type, product category and style
    of the creative in turn.

    Users and their cities are taken as they were drawn, not as their distribution would have it;
    user, device, app, publisher, hour and the momentary part are independent.
    """
    momentary = Pmf.normal(settings.intent.momentary_sd)
    distributions = []
    for kind in range(len(settings.types)):
        around = [
            _surface(context, kind)
            + Pmf.of(context.hour[:, kind], hour_shares())
            + Pmf.of(context.publisher[:, kind] + style, context.publisher_weight)
            + momentary
            for style in context.style.T
        ]
        home = context.city[users.city, kind]
        for loading in loadings.effect[kind]:
            person = (users.factors @ loading).astype(np.float64) + home
            people = Pmf.of(person, users.weight)
            distributions += [people + of_style for of_style in around]
    return distributions


def _surface(context: Placements, kind: int) -> Pmf:
    """Of the device's effect, and the app's where the click is in one."""
    effect, weight, in_app = context.device[:, kind], context.device_weight, context.in_app
    share = float(weight[in_app].sum())
    web = Pmf.of(effect[~in_app], weight[~in_app]) if share < 1 else None
    if share == 0 and web is not None:
        return web
    apps = Pmf.of(effect[in_app], weight[in_app]) + Pmf.of(
        context.app[:-1, kind], context.app_weight
    )
    return apps if web is None else apps.mix(web, share)
