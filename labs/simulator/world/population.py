"""The market: advertisers, their goals, campaigns, creatives and conversion setups."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from common.arrays import Bools, Floats, Ints32
from labs.simulator.settings import SimulatorSettings
from labs.simulator.world.sampling import by_group

NEVER = np.iinfo(np.int32).max
"""`end_day` of a campaign that goes on."""


@dataclass(frozen=True)
class Population:
    """Everything that is for sale, one array per attribute; indexes point into other arrays.

    Things are listed in the order in which they appear in the log, so that a longer log only
    appends to each array.

    Attributes:
      advertiser_kind, advertiser_category: type of advertiser and its product category.
      advertiser_weight: share of clicks while it has a live campaign, up to scale.
      goal_advertiser: whose goal it is.
      goal_type: the conversion type that the tag really counts.
      goal_declared: the conversion type that the advertiser says it counts.
      campaign_advertiser, campaign_weight: weight among the advertiser's live campaigns.
      first_day, end_day: the campaign runs on days first_day <= day < end_day.
      creative_campaign, creative_weight: weight within the campaign; campaigns ascend.
      creative_normals: [creatives, 2], what its effects are made of.
      creative_price: US dollars.
      setup_campaign, setup_goal: what the setup is.
      setup_share: its share of the campaign's clicks.
      setup_logit: logit of its CVR before drift.
      setup_cost: median price of a click, US dollars.
      setup_cohort: week in which it is first known, ascending.
    """

    advertiser_kind: Ints32
    advertiser_category: Ints32
    advertiser_weight: Floats
    goal_advertiser: Ints32
    goal_type: Ints32
    goal_declared: Ints32
    campaign_advertiser: Ints32
    campaign_weight: Floats
    first_day: Ints32
    end_day: Ints32
    creative_campaign: Ints32
    creative_weight: Floats
    creative_normals: Floats
    creative_price: Floats
    setup_campaign: Ints32
    setup_goal: Ints32
    setup_share: Floats
    setup_logit: Floats
    setup_cost: Floats
    setup_cohort: Ints32

    def __add__(self, other: Population) -> Population:
        """Both, `other` after this one; its indexes must already count from this one's start."""
        return Population(
            **{
                field.name: np.concatenate([getattr(self, field.name), getattr(other, field.name)])
                for field in fields(Population)
            }
        )

    @property
    def setup_type(self) -> Ints32:
        """True conversion type, [setups]."""
        return self.goal_type[self.setup_goal]

    @property
    def setup_advertiser(self) -> Ints32:
        return self.campaign_advertiser[self.setup_campaign]

    @property
    def setup_category(self) -> Ints32:
        """Product category, [setups]."""
        return self.advertiser_category[self.setup_advertiser]

    def live(self, day: int) -> Bools:
        """Whether each campaign runs that day, [campaigns]."""
        running: Bools = (self.first_day <= day) & (day < self.end_day)
        return running

    def setup_weights(self, day: int) -> Floats:
        """Share of the day's clicks by setup, [setups], up to scale; 0 when it does not run.

        An advertiser's weight is split over its live campaigns by theirs, and a campaign's over
        its setups.
        """
        campaign = by_group(self.campaign_advertiser, self.campaign_weight * self.live(day))
        weights: Floats = (
            self.advertiser_weight[self.setup_advertiser]
            * campaign[self.setup_campaign]
            * self.setup_share
        )
        return weights


def product_categories(settings: SimulatorSettings) -> tuple[str, ...]:
    """Names of the product categories, in the order of the advertiser types."""
    return tuple(dict.fromkeys(c for kind in settings.advertiser_types for c in kind.categories))


def hardness(settings: SimulatorSettings) -> Floats:
    """Hardness of each conversion type, [types]."""
    return np.array([kind.hardness for kind in settings.types])
