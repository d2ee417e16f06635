"""Time from click to conversion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from common.arrays import Floats, Ints, Ints32
from common.days import SECONDS_PER_DAY
from labs.simulator.defaults import DelayMixture


class Delays:
    """Delays by conversion type: mixtures of exponentials cut at the attribution window W.

    P(delay <= t) = sum over minutes, hours, days of share * (1 - e^(-t/mean)) / (1 - e^(-W/mean))
    """

    def __init__(self, mixtures: Sequence[DelayMixture], window_days: int) -> None:
        self.window = window_days * SECONDS_PER_DAY
        """Attribution window, seconds."""
        self._shares = np.array(
            [
                [m.within_minutes, m.within_hours, 1 - m.within_minutes - m.within_hours]
                for m in mixtures
            ]
        )
        self._means = np.array(
            [[m.minutes * 60, m.hours * 3600, m.days * SECONDS_PER_DAY] for m in mixtures]
        )
        self._reach = -np.expm1(-self.window / self._means)

    def cdf(self, kind: int, seconds: npt.ArrayLike) -> Floats:
        """Share of the conversions of a type that have come after so many seconds."""
        t = np.clip(np.asarray(seconds, dtype=np.float64), 0, self.window)[..., None]
        parts = -np.expm1(-t / self._means[kind]) / self._reach[kind]
        result: Floats = parts @ self._shares[kind]
        return result

    def draw(self, kinds: Ints32, part: Floats, within: Floats) -> Ints:
        """Delays in whole seconds, in [0, window), int64 [n].

        Args:
          kinds: conversion types, [n].
          part: uniforms that choose minutes, hours or days, [n].
          within: uniforms that are inverted through the chosen exponential, [n].
        """
        bounds = np.cumsum(self._shares, axis=1)[:, :2]
        component = (part[:, None] >= bounds[kinds]).sum(axis=1)
        mean = self._means[kinds, component]
        seconds = -mean * np.log1p(-within * self._reach[kinds, component])
        return np.minimum(seconds.astype(np.int64), self.window - 1)
