"""Ad requests: a user somewhere, and several ads that could be shown, each with its truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from common.arrays import Bools, Floats, Ints32
from common.days import SECONDS_PER_DAY, first_second
from labs.simulator.log.clicks import Clicks, ClickSource
from labs.simulator.log.signals import Signals, draw_signals
from labs.simulator.world.sampling import GroupSampler, Sampler
from labs.simulator.world.seasonality import seconds_of_day
from labs.simulator.world.streams import request_streams
from labs.simulator.world.world import World


@dataclass(frozen=True)
class Requests:
    """The ad requests of a day, ascending by time.

    Attributes:
      ads: one entry per request and place, request by request, [requests * places]: the click as
        it would be on that ad. `probability` is the true P(conversion | click); nothing was
        clicked, so `label` is False throughout.
      places: candidate ads of a request.
      repeated: bool [requests * places], the setup stands in an earlier place of the request.
    """

    ads: Clicks
    places: int
    repeated: Bools

    def __len__(self) -> int:
        return len(self.ads) // self.places


class RequestSource:
    """Draws ad requests with counterfactual candidates in a world.

    User, device, app, publisher and time come as a click's do; each place's setup is drawn in
    proportion to the setups' share of clicks, and a creative of its campaign. All ads of a request
    see the same noisy measurements of the user.
    """

    def __init__(self, world: World, market: int) -> None:
        """
        Args:
          world: what to draw in.
          market: seed of the requests, apart from the world's own.
        """
        self.world = world
        self._market = market
        context, population = world.context, world.population
        self._source = ClickSource(world)
        self._user = Sampler(world.users.weight)
        self._publisher = Sampler(context.publisher_weight)
        self._app = Sampler(context.app_weight)
        self._creative = GroupSampler(
            population.creative_campaign, population.creative_weight, len(population.first_day)
        )

    def day(self, day: int, requests: int, places: int, setup_weights: Floats) -> Requests:
        """The requests of a day.

        Args:
          day: days since the log's first; it must lie within the log's days.
          requests: how many.
          places: candidate ads of each.
          setup_weights: [setups], in what proportion setups are candidates, up to scale.
        """
        world = self.world
        rng = request_streams(world.settings.seed, self._market, day, 0)
        seconds = seconds_of_day(rng["time"], requests)
        user = self._user(rng["user"].random(requests))
        device = self._source.devices(user, rng["device"].random(requests))
        app = np.where(
            world.context.in_app[device],
            self._app(rng["app"].random(requests)),
            world.settings.size.apps,
        ).astype(np.int32)
        publisher = self._publisher(rng["publisher"].random(requests))
        setup_sampler = Sampler(setup_weights)
        setup = np.empty((requests, places), np.int32)
        creative = np.empty((requests, places), np.int32)
        repeated = np.zeros((requests, places), bool)
        momentary = np.empty((requests, places))
        signals = []
        for place in range(places):
            own = request_streams(world.settings.seed, self._market, day, place)
            setup[:, place] = setup_sampler(own["setup"].random(requests))
            campaign = world.population.setup_campaign[setup[:, place]]
            creative[:, place] = self._creative(campaign, own["creative"].random(requests))
            repeated[:, place] = (setup[:, :place] == setup[:, place : place + 1]).any(axis=1)
            momentary[:, place] = own["momentary"].standard_normal(requests)
            # What is measured of the user and of the page is drawn anew from the same streams, so
            # that it is the same for all ads; interest in the ad's category has noise of its own.
            measured = request_streams(world.settings.seed, self._market, day, 0)
            measured["affinity"] = own["affinity"]
            category = world.population.setup_category[setup[:, place]]
            signals.append(
                draw_signals(world, measured, user, category, creative[:, place], publisher)
            )
        return Requests(
            ads=self._ads(
                day,
                seconds,
                (user, device, app, publisher),
                (setup.ravel(), creative.ravel()),
                momentary.ravel(),
                _interleaved(signals),
            ),
            places=places,
            repeated=repeated.ravel(),
        )

    def _ads(
        self,
        day: int,
        seconds: Ints32,
        surroundings: tuple[Ints32, Ints32, Ints32, Ints32],
        offer: tuple[Ints32, Ints32],
        momentary: Floats,
        signals: Signals,
    ) -> Clicks:
        world, (setup, creative) = self.world, offer
        places = len(setup) // len(seconds)
        user, device, app, publisher = (np.repeat(column, places) for column in surroundings)
        seconds = np.repeat(seconds, places)
        hour = seconds // 3600
        intercept = np.ascontiguousarray(world.intercept[:, day // 7])
        log_odds = self._source.log_odds(
            intercept, user, setup, creative, device, app, publisher, hour
        )
        midnight = first_second(world.settings.start_date) + day * SECONDS_PER_DAY
        count = len(setup)
        return Clicks(
            day=day,
            first_row=0,
            timestamp=seconds.astype(np.int64) + midnight,
            user=user,
            setup=setup,
            creative=creative,
            device=device,
            app=app,
            publisher=publisher,
            hour=hour,
            probability=expit(log_odds + world.settings.intent.momentary_sd * momentary),
            label=np.zeros(count, bool),
            conversion_timestamp=np.full(count, -1, np.int64),
            cost=np.zeros(count),
            signals=signals,
        )


def _interleaved(signals: list[Signals]) -> Signals:
    """Signals of each place, [requests], request by request, [requests * places]."""
    first = signals[0]
    return Signals(
        {n: np.stack([s.values[n] for s in signals], axis=1).ravel() for n in first.values},
        {n: np.stack([s.missing[n] for s in signals], axis=1).ravel() for n in first.missing},
    )
