"""How setups' conversion rates move: a weekly AR(1) on the logit, and lasting jumps."""

from __future__ import annotations

import numpy as np

from common.arrays import Floats, Ints32
from labs.simulator.settings import Drift
from labs.simulator.world.streams import Purpose, generator


def drift_paths(settings: Drift, seed: int, cohort: Ints32, weeks: int) -> tuple[Floats, Floats]:
    """The AR(1) part and the sum of the jumps so far, each [setups, weeks].

    x(w) = rho * x(w - 1) + N(0, innovation_sd), begun in its stationary distribution in the week
    of the setup's cohort; 0 before. Each week has a stream of its own, read in the order of the
    setups, so that later weeks and later setups leave the earlier ones alone.

    Args:
      settings: rho, innovation sd, jump rate and size.
      seed: the log's seed.
      cohort: week in which each setup is first known, ascending, [setups].
      weeks: how many weeks.
    """
    wave = np.zeros((len(cohort), weeks))
    jumps = np.zeros((len(cohort), weeks))
    stationary_sd = settings.innovation_sd / np.sqrt(1 - settings.rho**2)
    for week in range(weeks):
        rng = generator(seed, Purpose.DRIFT, week)
        known = int(np.searchsorted(cohort, week, side="right"))
        old = int(np.searchsorted(cohort, week, side="left"))
        normals, lots, signs = rng.standard_normal(known), rng.random(known), rng.random(known)
        wave[old:known, week] = stationary_sd * normals[old:]
        if week:
            wave[:old, week] = (
                settings.rho * wave[:old, week - 1] + settings.innovation_sd * normals[:old]
            )
            jumped = lots[:old] < settings.jump_rate
            jumps[:old, week] = jumps[:old, week - 1] + np.where(
                jumped, np.where(signs[:old] < 0.5, -1.0, 1.0) * settings.jump_size, 0.0
            )
    return wave, jumps
