"""What a log measures of users, publishers and offers: noisy, and with cells missing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.arrays import Bools, Floats32, Ints32
from labs.simulator.world.world import World

BY_CLICK = (
    "city",
    "user_engagement",
    "visits_7d",
    "hours_since_last_visit",
    "orders_90d",
    "category_affinity",
    "viewability",
    "offer_price",
)
"""Columns whose cells go missing click by click."""


@dataclass(frozen=True)
class Signals:
    """Numeric features, float32 [n] by column, and missing cells, bool [n] by column."""

    values: dict[str, Floats32]
    missing: dict[str, Bools]


def draw_signals(
    world: World,
    rng: dict[str, np.random.Generator],
    user: Ints32,
    category: Ints32,
    creative: Ints32,
    publisher: Ints32,
) -> Signals:
    """Measures the clicks [n] of users in product categories, on creatives and publishers."""
    people, count = world.users, len(user)
    reliability = world.settings.intent.reliability
    engagement = people.engagement[user]

    def noise(name: str) -> Floats32:
        return rng[name].standard_normal(count, dtype=np.float32)

    taste = np.einsum("nf,nf->n", people.factors[user], world.loadings.affinity[category])
    seen = world.context.viewability[publisher].astype(np.float32)
    values = {
        "user_engagement": engagement + np.float32(0.4) * noise("engagement"),
        "visits_7d": np.floor(np.exp(0.8 + 0.5 * engagement + 0.6 * noise("visits"))),
        "hours_since_last_visit": np.exp(3.0 - 0.4 * engagement + 0.9 * noise("recency")),
        "orders_90d": people.orders[user],
        "category_affinity": np.float32(np.sqrt(reliability)) * taste
        + np.float32(np.sqrt(1 - reliability)) * noise("affinity"),
        "viewability": np.clip(seen + np.float32(0.08) * noise("viewability"), 0.0, 1.0),
        "offer_price": world.population.creative_price[creative].astype(np.float32),
    }
    # Row by row, so that the same cells are missing whatever the number of rows.
    lots = rng["missing"].random((count, len(BY_CLICK)), dtype=np.float32)
    missing = {
        name: lots[:, column] < world.settings.missing.get(name, 0.0)
        for column, name in enumerate(BY_CLICK)
    }
    missing["user_id"] = people.anonymous[user]
    missing["user_segment"] = people.unsegmented[user]
    missing["user_interest"] = people.uninterested[user]
    return Signals({name: value.astype(np.float32) for name, value in values.items()}, missing)
