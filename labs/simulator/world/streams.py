"""Random streams that depend on the seed and on what they are for, and on nothing else."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """First part of a stream's key."""

    POPULATION = 0
    USERS = 1
    CONTEXT = 2
    DRIFT = 3
    CLICKS = 4
    REQUESTS = 5


DRAWS = (
    "time",
    "user",
    "setup",
    "creative",
    "device",
    "app",
    "publisher",
    "momentary",
    "label",
    "delay_kind",
    "delay",
    "spend",
    "missing",
    "engagement",
    "visits",
    "recency",
    "affinity",
    "viewability",
)
"""What is drawn for a click. A new name goes last, so that the streams of the others stay."""


def generator(seed: int, purpose: Purpose, *key: int) -> np.random.Generator:
    """The stream `key` of a purpose: the same child as `SeedSequence(seed).spawn` would give."""
    sequence = np.random.SeedSequence(seed, spawn_key=(int(purpose), *key))
    return np.random.Generator(np.random.PCG64(sequence))


def day_streams(seed: int, day: int) -> dict[str, np.random.Generator]:
    """One stream per kind of draw for the clicks of a day (0 is the log's first).

    Each is read in row order, so the draws of a row do not depend on how many rows are drawn at
    a time, nor on any other day.
    """
    return {name: generator(seed, Purpose.CLICKS, day, i) for i, name in enumerate(DRAWS)}


def request_streams(seed: int, market: int, day: int, ad: int) -> dict[str, np.random.Generator]:
    """As `day_streams`, for the ads in the `ad`-th place of the ad requests of a day.

    Args:
      seed: of the world.
      market: seed of the requests: another one gives other requests in the same world.
      day: days since the log's first.
      ad: place within the request.
    """
    return {
        name: generator(seed, Purpose.REQUESTS, market, day, ad, i) for i, name in enumerate(DRAWS)
    }
