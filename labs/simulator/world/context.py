"""Where and when ads are clicked, and what that does to conversions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.arrays import Bools, Floats, Indices
from labs.simulator.settings import SimulatorSettings
from labs.simulator.world.effects import centred, directions, effect_table
from labs.simulator.world.intent import Users
from labs.simulator.world.population import Population, hardness
from labs.simulator.world.sampling import by_group, zipf_weights
from labs.simulator.world.seasonality import hour_effects
from labs.simulator.world.streams import Purpose, generator


@dataclass(frozen=True)
class Placements:
    """Weights [n] and effects on the log-odds [n, types] of each context feature.

    Attributes:
      hour, device, app, publisher, city: effects by value; `app` has one more row, of zeros, for
        clicks outside an app.
      style: effects of publisher x style, [publishers, styles], of all types alike; every style's
        weighted mean over publishers is 0.
      creative_style: style of each creative, [creatives].
      device_weight, app_weight, publisher_weight: shares of clicks (for apps, of clicks in apps).
      in_app: bool [devices].
      viewability: [publishers], how much of its ad slots is seen, 0 to 1.
    """

    hour: Floats
    device: Floats
    app: Floats
    publisher: Floats
    city: Floats
    style: Floats
    creative_style: Indices
    device_weight: Floats
    app_weight: Floats
    publisher_weight: Floats
    in_app: Bools
    viewability: Floats


def draw_context(settings: SimulatorSettings, users: Users, population: Population) -> Placements:
    """The context features' tables, each from a stream of its own."""
    size, popularity, knobs = settings.size, settings.popularity, settings.context
    hard, devices = hardness(settings), settings.context.devices

    def table(stream: int, weights: Floats, sd: float, correlation: float) -> Floats:
        rng = generator(settings.seed, Purpose.CONTEXT, stream)
        return effect_table(rng, weights, sd, correlation, hard)

    others = np.array([device.weight for device in devices])
    main = np.bincount(users.device, users.weight, minlength=len(devices))
    device_weight = knobs.main_device * main + (1 - knobs.main_device) * others / others.sum()
    soft_hard = np.array([[device.soft, device.hard] for device in devices])
    device = soft_hard[:, :1] * (1 - hard) + soft_hard[:, 1:] * hard
    apps = zipf_weights(size.apps, popularity.apps)
    publishers = zipf_weights(size.publishers, popularity.publishers)
    cities: Floats = np.bincount(users.city, users.weight, minlength=size.cities).astype(float)
    publisher = table(0, publishers, knobs.publisher_sd, knobs.publisher_correlation)
    app = table(1, apps, knobs.app_sd, knobs.app_correlation)
    quality = publisher.mean(axis=1) / (knobs.publisher_sd or 1.0)
    noise = generator(settings.seed, Purpose.CONTEXT, 2).standard_normal(size.publishers)
    return Placements(
        hour=hour_effects(knobs.hour_amplitude, knobs.soft_peak_hour, knobs.hard_peak_hour, hard),
        device=centred(device, device_weight),
        app=np.concatenate([app, np.zeros((1, len(hard)))]),
        publisher=publisher,
        city=table(3, cities, knobs.city_sd, knobs.city_correlation),
        style=_style_effects(settings, publishers),
        creative_style=generator(settings.seed, Purpose.CONTEXT, 5).integers(
            0, _styles(settings), len(population.creative_campaign)
        ),
        device_weight=device_weight,
        app_weight=apps,
        publisher_weight=publishers,
        in_app=np.array([device.in_app for device in devices]),
        viewability=1 / (1 + np.exp(-0.6 - 0.5 * quality - 0.5 * noise)),
    )


def _styles(settings: SimulatorSettings) -> int:
    """How many creative styles there are; one where their effect is zero."""
    return settings.context.styles if settings.context.style_sd else 1


def _style_effects(settings: SimulatorSettings, weights: Floats) -> Floats:
    rng = generator(settings.seed, Purpose.CONTEXT, 4)
    normals = rng.standard_normal((len(weights), _styles(settings)))
    return settings.context.style_sd * centred(normals, weights)


def creative_effects(settings: SimulatorSettings, population: Population) -> Floats:
    """Effects of the creatives, [creatives, types], with weighted mean 0 within a campaign."""
    knobs = settings.context
    raw = knobs.creative_sd * (
        population.creative_normals @ directions(hardness(settings), knobs.creative_correlation).T
    )
    campaign = population.creative_campaign
    share = by_group(campaign, population.creative_weight)
    means = np.stack([np.bincount(campaign, share * column) for column in raw.T], axis=1)
    result: Floats = raw - means[campaign]
    return result
