"""Effects that conversion types share in part: the nearer two types, the more they share."""

from __future__ import annotations

import numpy as np

from common.arrays import Floats


def directions(hardness: Floats, correlation: float) -> Floats:
    """Unit vectors, one per type, [types, 2].

    The type of hardness h points at the angle h * arccos(correlation), so that effects built on
    two independent standard normals correlate by cos((h - h') * arccos(correlation)) between two
    types: by `correlation` between hardness 0 and hardness 1, and by 1 within a type.
    """
    angle = hardness * np.arccos(correlation)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def centred(effects: Floats, weights: Floats) -> Floats:
    """The effects [n, types] less their weighted means; weights [n]."""
    return effects - np.average(effects, axis=0, weights=weights)


def effect_table(
    rng: np.random.Generator, weights: Floats, sd: float, correlation: float, hardness: Floats
) -> Floats:
    """Effects on the log-odds of the values of a categorical feature, [n, types].

    Args:
      rng: stream of the two standard normals per value.
      weights: [n], how often each value occurs.
      sd: standard deviation over clicks (0 where one value is all there is).
      correlation: between types of hardness 0 and 1, before centring.
      hardness: [types].

    Returns:
      A table whose columns have weighted mean 0 and weighted standard deviation `sd`.
    """
    normals = rng.standard_normal((len(weights), 2))
    table = centred(normals @ directions(hardness, correlation).T, weights)
    spread = np.sqrt(np.average(table**2, axis=0, weights=weights))
    return np.divide(table, spread, out=np.zeros_like(table), where=spread > 1e-12) * sd
