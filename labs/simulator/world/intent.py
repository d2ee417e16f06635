"""Users: what they are after, how it moves their conversions, and what the log tells of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.arrays import Bools, Floats, Floats32, Ints32
from labs.simulator.settings import SimulatorSettings
from labs.simulator.world.effects import directions
from labs.simulator.world.population import hardness, product_categories
from labs.simulator.world.sampling import Sampler, zipf_weights
from labs.simulator.world.streams import Purpose, generator

INTENTS = 2
"""First columns of a user's factors: general intent; the others are interests."""

SEGMENT_BITS = 5
"""Factors whose noisy signs make up `user_segment`: both intents and three interests."""


@dataclass(frozen=True)
class Users:
    """Hidden and logged attributes, one array each, [users].

    Attributes:
      weight: share of clicks, summing to 1.
      factors: float32 [users, 2 + interests], independent standard normals, hidden.
      city, device: where the user lives; the device the user clicks on most.
      segment: 0..31, signs of noisy views of five factors.
      interest: product category of the largest noisy interest.
      engagement: float32, noisy view of the intent for easy conversions.
      orders: float32, past orders, a count that grows with the intent for hard conversions.
      anonymous: no `user_id` in the log.
      unsegmented, uninterested: no `user_segment`, no `user_interest` in the log.
    """

    weight: Floats
    factors: Floats32
    city: Ints32
    device: Ints32
    segment: Ints32
    interest: Ints32
    engagement: Floats32
    orders: Floats32
    anonymous: Bools
    unsegmented: Bools
    uninterested: Bools


@dataclass(frozen=True)
class Loadings:
    """How users' factors act on conversions.

    Attributes:
      effect: float32 [types, categories, 2 + interests]; a user's effect on the log-odds is its
        dot product with the user's factors.
      affinity: float32 [categories, 2 + interests], unit vectors: the general interest in a
        category, common to all types.
    """

    effect: Floats32
    affinity: Floats32


def draw_loadings(settings: SimulatorSettings) -> Loadings:
    """Loadings of type t and category k on a user's factors.

    [ sd(t) * direction(hardness t), category_sd * (sqrt(c) g(k) + sqrt(1 - c) h(t, k)) ]

    with g(k) and h(t, k) random unit vectors, h orthogonal to g, and c the category correlation:
    interest in a category works differently on each conversion type. Effects are normal over
    users with variance sd(t)^2 + category_sd^2.
    """
    intent, names = settings.intent, product_categories(settings)
    rng = generator(settings.seed, Purpose.USERS, 0)
    types, categories = len(settings.types), len(names)
    common = _unit(rng.standard_normal((categories, intent.interests)))
    own = rng.standard_normal((types, categories, intent.interests))
    own = _unit(own - (own * common).sum(axis=2, keepdims=True) * common)
    shared = intent.category_correlation
    interest = intent.category_sd * (np.sqrt(shared) * common + np.sqrt(1 - shared) * own)
    sds = np.array([kind.intent_sd for kind in settings.types])
    general = sds[:, None] * directions(hardness(settings), intent.correlation)
    effect = np.concatenate(
        [np.broadcast_to(general[:, None, :], (types, categories, INTENTS)), interest], axis=2
    )
    affinity = np.concatenate([np.zeros((categories, INTENTS)), common], axis=1)
    return Loadings(effect.astype(np.float32), affinity.astype(np.float32))


def draw_users(settings: SimulatorSettings, loadings: Loadings) -> Users:
    """All users; ids say nothing about how often a user clicks."""
    rng = generator(settings.seed, Purpose.USERS, 1)
    size, missing = settings.size, settings.missing
    count = size.users
    factors = rng.standard_normal((count, INTENTS + settings.intent.interests), dtype=np.float32)
    signal = np.float32(np.sqrt(settings.intent.reliability))
    noise = np.float32(np.sqrt(1 - settings.intent.reliability))

    def noisy(values: Floats32) -> Floats32:
        return signal * values + noise * rng.standard_normal(values.shape, dtype=np.float32)

    bits = noisy(factors[:, :SEGMENT_BITS]) > 0
    ends = directions(np.array([0.0, 1.0]), settings.intent.correlation).astype(np.float32)
    easy, hard = (factors[:, :INTENTS] @ ends.T).T
    devices = np.array([device.weight for device in settings.context.devices])
    return Users(
        weight=rng.permutation(zipf_weights(count, settings.popularity.users)),
        factors=factors,
        city=Sampler(zipf_weights(size.cities, settings.popularity.cities))(rng.random(count)),
        device=Sampler(devices)(rng.random(count)),
        segment=(bits @ (1 << np.arange(SEGMENT_BITS))).astype(np.int32),
        interest=np.argmax(noisy(factors @ loadings.affinity.T), axis=1).astype(np.int32),
        engagement=noisy(easy),
        orders=np.floor(np.exp(-0.3 + 0.9 * noisy(hard))).astype(np.float32),
        anonymous=rng.random(count) < missing.get("user_id", 0.0),
        unsegmented=rng.random(count) < missing.get("user_segment", 0.0),
        uninterested=rng.random(count) < missing.get("user_interest", 0.0),
    )


def _unit(vectors: Floats) -> Floats:
    result: Floats = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return result
