"""Arrow tables of the log and, apart from it, of the truth behind it."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from labs.simulator.log.clicks import Clicks
from labs.simulator.world.intent import SEGMENT_BITS
from labs.simulator.world.seasonality import WEEKDAYS
from labs.simulator.world.world import World
from schemas.setup_id import setup_ids

TRUTH_SCHEMA = pa.schema(
    [
        pa.field("click_id", pa.int64(), nullable=False),
        pa.field("probability", pa.float64(), nullable=False),
    ]
)


class LogTables:
    """Turns clicks into the rows of the log; holds the names of everything."""

    def __init__(self, world: World) -> None:
        settings, population = world.settings, world.population
        self._world = world
        types = pa.array([kind.name for kind in settings.types])
        categories = pa.array(world.categories)
        kinds = pa.array([kind.name for kind in settings.advertiser_types])
        advertisers = _names("a", len(population.advertiser_kind))
        campaigns = _names("c", len(population.first_day))
        goals = _names("g", len(population.goal_type))
        advertiser = population.setup_advertiser
        self.setup_names = {
            "advertiser_id": advertisers.take(pa.array(advertiser)),
            "advertiser_type": kinds.take(pa.array(population.advertiser_kind[advertiser])),
            "product_category": categories.take(pa.array(population.setup_category)),
            "campaign_id": campaigns.take(pa.array(population.setup_campaign)),
            "conversion_goal": goals.take(pa.array(population.setup_goal)),
            "conversion_category": types.take(
                pa.array(population.goal_declared[population.setup_goal])
            ),
        }
        """Names by setup, columns of the log."""
        self._creatives = _names("r", len(population.creative_campaign))
        self._users = _names("u", settings.size.users)
        self._segments = _names("s", 2**SEGMENT_BITS)
        self._categories = categories
        self._cities = _names("y", settings.size.cities)
        self._apps = _names("p", settings.size.apps)
        self._publishers = _names("w", settings.size.publishers)
        self._devices = pa.array([device.name for device in settings.context.devices])
        self._hours = pa.array([f"{hour:02d}" for hour in range(24)])

    def log(self, clicks: Clicks) -> pa.Table:
        """The rows of the log; nothing in them tells the true probability or type."""
        world, lost = self._world, clicks.signals.missing
        start: date = world.settings.start_date
        weekday = WEEKDAYS[(start + timedelta(days=clicks.day)).weekday()]
        user = clicks.user
        columns = {
            "click_id": pa.array(clicks.click_id),
            "timestamp": pa.array(clicks.timestamp),
            "label": pa.array(clicks.label.astype(np.int64)),
            "conversion_timestamp": pa.array(clicks.conversion_timestamp),
            "user_id": _take(self._users, user, lost["user_id"]),
            "user_segment": _take(self._segments, world.users.segment[user], lost["user_segment"]),
            "user_interest": _take(
                self._categories, world.users.interest[user], lost["user_interest"]
            ),
            "city": _take(self._cities, world.users.city[user], lost["city"]),
            "device": _take(self._devices, clicks.device),
            "app_id": _take(self._apps, clicks.app, clicks.app == world.settings.size.apps),
            "publisher_id": _take(self._publishers, clicks.publisher),
            "hour": _take(self._hours, clicks.hour),
            "weekday": _take(pa.array([weekday]), np.zeros(len(clicks), dtype=np.int32)),
            **{name: _take(names, clicks.setup) for name, names in self.setup_names.items()},
            "creative_id": _take(self._creatives, clicks.creative),
            **{
                name: pa.array(values, mask=lost[name])
                for name, values in clicks.signals.values.items()
            },
            "spend": pa.array(clicks.cost.astype(np.float32)),
        }
        return pa.table(columns)

    def truth(self, clicks: Clicks) -> pa.Table:
        """True probabilities, row by row as in `log`."""
        columns = [pa.array(clicks.click_id), pa.array(clicks.probability)]
        return pa.Table.from_arrays(columns, schema=TRUTH_SCHEMA)

    def setups(self) -> pa.Table:
        """One row per setup and day on which it runs: its names, true type and true CVR."""
        world = self._world
        days = world.settings.days
        rows, when = [], []
        for day in range(days):
            live = np.flatnonzero(world.population.setup_weights(day) > 0)
            rows.append(live)
            when.append(np.full(len(live), day))
        row, day_of = np.concatenate(rows), np.concatenate(when)
        order = np.lexsort((day_of, row))
        row, day_of = row[order], day_of[order]
        index = pa.array(row)
        names = {name: column.take(index) for name, column in self.setup_names.items()}
        types = pa.array([kind.name for kind in world.settings.types])
        dates = np.datetime64(world.settings.start_date, "D") + day_of.astype("timedelta64[D]")
        return pa.table(
            {
                "setup_id": setup_ids([names["campaign_id"], names["conversion_goal"]]),
                **names,
                "true_type": types.take(pa.array(world.population.setup_type[row])),
                "date": pa.array(dates),
                "cvr": pa.array(world.cvr[row, day_of // 7]),
            }
        )


def _names(prefix: str, count: int) -> pa.Array:
    """`prefix` and a number of six digits or more, for 0..count-1."""
    digits = pc.utf8_lpad(pc.cast(pa.array(np.arange(count)), pa.string()), 6, "0")
    return pc.binary_join_element_wise(pa.scalar(prefix), digits, "")


def _take(
    names: pa.Array, index: npt.NDArray[np.int32], missing: npt.NDArray[np.bool_] | None = None
) -> pa.Array:
    """Names by index, null where missing."""
    return names.take(pa.array(index, mask=missing))
