"""Draws the clicks of a day, a chunk at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from scipy.special import expit

from common.arrays import Bools, Floats, Ints, Ints32
from common.days import SECONDS_PER_DAY, first_second
from labs.simulator.log.signals import Signals, draw_signals
from labs.simulator.world.sampling import GroupSampler, Sampler
from labs.simulator.world.seasonality import seconds_of_day
from labs.simulator.world.streams import day_streams
from labs.simulator.world.world import World

COST_NOISE = 0.3
"""sd of the log price of a click around its setup's median."""


@dataclass(frozen=True)
class Clicks:
    """Consecutive clicks of one day, [n] each, as indexes into the world's arrays.

    Attributes:
      day: days since the log's first.
      first_row: number of the first click within the day.
      timestamp: int64, seconds since 1970-01-01 UTC.
      user, setup, creative, device, publisher: indexes.
      app: index, or the number of apps for a click outside an app.
      hour: 0..23, UTC.
      probability: P(conversion within the attribution window), hidden.
      label: bool, drawn from it.
      conversion_timestamp: int64 seconds, -1 where there is none.
      cost: US dollars.
      signals: noisy measurements that the log shows.
    """

    day: int
    first_row: int
    timestamp: Ints
    user: Ints32
    setup: Ints32
    creative: Ints32
    device: Ints32
    app: Ints32
    publisher: Ints32
    hour: Ints32
    probability: Floats
    label: Bools
    conversion_timestamp: Ints
    cost: Floats
    signals: Signals

    def __len__(self) -> int:
        return len(self.timestamp)

    def rows(self, first: int, last: int) -> Clicks:
        """Rows first <= i < last alone."""
        part: dict[str, Any] = {
            field.name: value[first:last]
            for field in fields(self)
            if isinstance(value := getattr(self, field.name), np.ndarray)
        }
        signals = Signals(
            {name: column[first:last] for name, column in self.signals.values.items()},
            {name: column[first:last] for name, column in self.signals.missing.items()},
        )
        return replace(self, first_row=self.first_row + first, signals=signals, **part)

    @property
    def click_id(self) -> Ints:
        """Unique in the log: day * 2^32 + row."""
        rows = np.arange(self.first_row, self.first_row + len(self), dtype=np.int64)
        return rows + (np.int64(self.day) << np.int64(32))


class ClickSource:
    """Draws clicks in a world; what it draws depends on the day and the row alone."""

    def __init__(self, world: World) -> None:
        self.world = world
        context, population = world.context, world.population
        self._user = Sampler(world.users.weight)
        self._publisher = Sampler(context.publisher_weight)
        self._app = Sampler(context.app_weight)
        self._device = Sampler(np.array([d.weight for d in world.settings.context.devices]))
        self._creative = GroupSampler(
            population.creative_campaign, population.creative_weight, len(population.first_day)
        )
        categories = len(world.categories)
        self._type = population.setup_type
        self._category = population.setup_category
        self._loading_row = self._type * categories + self._category
        self._loadings = world.loadings.effect.reshape(-1, world.loadings.effect.shape[2])

    def day(self, day: int, clicks: int, chunk: int) -> Iterator[Clicks]:
        """The clicks of a day, ascending by time, at most `chunk` at a time.

        Holds the seconds of the whole day (4 bytes a click) and one chunk.
        """
        world, rng = self.world, day_streams(self.world.settings.seed, day)
        midnight = first_second(world.settings.start_date) + day * SECONDS_PER_DAY
        seconds = seconds_of_day(rng["time"], clicks)
        setup_sampler = Sampler(world.population.setup_weights(day))
        intercept = np.ascontiguousarray(world.intercept[:, day // 7])
        for first in range(0, clicks, chunk):
            part = seconds[first : first + chunk]
            count = len(part)
            user = self._user(rng["user"].random(count))
            setup = setup_sampler(rng["setup"].random(count))
            creative = self._creative(
                world.population.setup_campaign[setup], rng["creative"].random(count)
            )
            device = self.devices(user, rng["device"].random(count))
            app = np.where(
                world.context.in_app[device],
                self._app(rng["app"].random(count)),
                world.settings.size.apps,
            ).astype(np.int32)
            publisher = self._publisher(rng["publisher"].random(count))
            hour = part // 3600
            log_odds = self.log_odds(intercept, user, setup, creative, device, app, publisher, hour)
            noise = rng["momentary"].standard_normal(count)
            probability = expit(log_odds + world.settings.intent.momentary_sd * noise)
            label = rng["label"].random(count) < probability
            timestamp = part.astype(np.int64) + midnight
            cost = world.population.setup_cost[setup]
            yield Clicks(
                day=day,
                first_row=first,
                timestamp=timestamp,
                user=user,
                setup=setup,
                creative=creative,
                device=device,
                app=app,
                publisher=publisher,
                hour=hour,
                probability=probability,
                label=label,
                conversion_timestamp=self._conversions(rng, timestamp, setup, label),
                cost=cost * np.exp(COST_NOISE * rng["spend"].standard_normal(count)),
                signals=draw_signals(world, rng, user, self._category[setup], creative, publisher),
            )

    def devices(self, user: Ints32, uniforms: Floats) -> Ints32:
        """The user's main device, or any; one uniform [n] decides both."""
        main = self.world.settings.context.main_device
        any_device = np.clip((uniforms - main) / ((1 - main) or 1.0), 0.0, np.nextafter(1, 0))
        return np.where(
            uniforms < main, self.world.users.device[user], self._device(any_device)
        ).astype(np.int32)

    def log_odds(
        self,
        intercept: Floats,
        user: Ints32,
        setup: Ints32,
        creative: Ints32,
        device: Ints32,
        app: Ints32,
        publisher: Ints32,
        hour: Ints32,
    ) -> Floats:
        """Log-odds of a conversion without what is momentary, [n].

        Args:
          intercept: the world's intercepts in the week of the clicks, [setups].
          user, setup, creative, device, app, publisher, hour: as in `Clicks`, [n].
        """
        world, kind = self.world, self._type[setup]
        context = world.context
        person = np.einsum(
            "nf,nf->n", world.users.factors[user], self._loadings[self._loading_row[setup]]
        )
        total: Floats = (
            intercept[setup]
            + person
            + world.creative[creative, kind]
            + context.city[world.users.city[user], kind]
            + context.hour[hour, kind]
            + context.device[device, kind]
            + context.app[app, kind]
            + context.publisher[publisher, kind]
            + context.style[publisher, context.creative_style[creative]]
        )
        return total

    def _conversions(
        self,
        rng: dict[str, np.random.Generator],
        timestamp: Ints,
        setup: Ints32,
        label: Bools,
    ) -> Ints:
        """Conversion times, int64 [n], -1 where there is none."""
        times = np.full(len(label), -1, dtype=np.int64)
        rows = np.flatnonzero(label)
        times[rows] = timestamp[rows] + self.world.delays.draw(
            self._type[setup[rows]],
            rng["delay_kind"].random(len(rows)),
            rng["delay"].random(len(rows)),
        )
        return times
