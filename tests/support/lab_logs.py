"""Tiny logs for the lab's tests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from components.task_labeler.decide.counts import count_clicks, merge_counts
from labs.stability_lab.log.cells import LabLog, build_log

DAY = 86_400
FIRST = 17_000


@dataclass(frozen=True)
class Clicks:
    """Clicks of a setup on a day (from 0), some of which converted `delay` days later."""

    setup: str
    day: int
    clicks: int
    conversions: int = 0
    delay: int = 0
    category: str = "buy"
    kind: str = "shop"
    advertiser: str = "a"
    spend: float = 0.0


def lab_log(rows: list[Clicks], as_of: int, attribution_days: int = 2) -> LabLog:
    """The log of these clicks on day `as_of` (from 0)."""
    parts = []
    for row in rows:
        n = row.clicks
        time = np.full(n, (FIRST + row.day) * DAY + 5)
        seen = np.full(n, -1)
        if row.day + row.delay < as_of:
            seen[: row.conversions] = (FIRST + row.day + row.delay) * DAY + 9
        setup, category, kind = (
            pa.array([text] * n) for text in (row.setup, row.category, row.kind)
        )
        parts.append(count_clicks(setup, category, kind, time, seen))
    spend = pa.table(
        {
            "setup_id": [r.setup for r in rows],
            "day": pa.array([FIRST + r.day for r in rows], pa.int64()),
            "spend": [r.spend for r in rows],
        }
    )
    owners = pa.table(
        {
            "setup_id": [r.setup for r in rows],
            "advertiser": [r.advertiser for r in rows],
            "day": pa.array([FIRST + r.day for r in rows], pa.int64()),
        }
    )
    return build_log(merge_counts(parts), FIRST + as_of, attribution_days, spend, owners)


def random_rows(seed: int, setups: int = 6, days: int = 20) -> list[Clicks]:
    """Setups of two categories that come, go and convert at rates of their own."""
    rng = np.random.default_rng(seed)
    rows = []
    for s in range(setups):
        rate, born = rng.choice([0.01, 0.05, 0.2]), int(rng.integers(0, days // 2))
        for day in range(born, days):
            if rng.random() < 0.7:
                clicks = int(rng.integers(1, 30))
                rows.append(
                    Clicks(
                        f"s{s}",
                        day,
                        clicks,
                        int(rng.binomial(clicks, rate)),
                        int(rng.integers(0, 3)),
                        category=f"c{s % 2}",
                        advertiser=f"a{s % 3}",
                        spend=float(clicks * rng.random()),
                    )
                )
    return rows
