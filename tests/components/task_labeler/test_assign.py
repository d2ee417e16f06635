"""The labeller's decisions against a slow, obvious reimplementation on random logs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.task_labeler.assign import Context, assign, build_context
from components.task_labeler.calendar import Calendar
from components.task_labeler.counts import count_clicks, group_counts, merge_counts
from components.task_labeler.settings import LabellingSettings
from components.task_labeler.stability import Reason

DAY = 86_400
FIRST = 17_000
ATTRIBUTION = 4
DAYS = 16


@dataclass(frozen=True)
class Click:
    setup: str
    category: str
    kind: str
    day: int
    delay: int | None
    """Calendar days from click to conversion, None where there is none."""


def counts_of(clicks: list[Click], as_of: int) -> pa.Table:
    times = np.array([c.day * DAY + 7 for c in clicks], np.int64)
    when = np.array([-1 if c.delay is None else (c.day + c.delay) * DAY + 11 for c in clicks])
    when[when >= as_of * DAY] = -1
    return merge_counts(
        [
            count_clicks(
                pa.array([c.setup for c in clicks]),
                pa.array([c.category for c in clicks]),
                pa.array([c.kind for c in clicks]),
                times,
                when,
            )
        ]
    )


def labelled(
    clicks: list[Click], as_of: int, options: LabellingSettings
) -> dict[tuple[str, int], dict[str, object]]:
    counts = counts_of(clicks, as_of)
    context = build_context(
        group_counts(counts), Calendar(min(c.day for c in clicks), as_of), ATTRIBUTION, options
    )
    history, _ = assign(counts, context, ATTRIBUTION, options)
    return {(row["setup_id"], row["day"]): row for row in history.to_pylist()}


class Oracle:
    """Every number by its definition, one click at a time."""

    def __init__(self, clicks: list[Click], options: LabellingSettings) -> None:
        self.clicks, self.o = clicks, options

    def weight(self, age: int) -> float:
        return 2.0 ** (-age / self.o.half_life_days)

    def seen(self, c: Click, day: int) -> bool:
        return c.delay is not None and c.day + c.delay < day

    def share_shown(self, category: str, age: int, day: int) -> float:
        if age > ATTRIBUTION + 1:
            age = ATTRIBUTION + 1
        mature = [
            c
            for c in self.clicks
            if c.delay is not None and c.delay <= ATTRIBUTION and c.day + ATTRIBUTION + 1 <= day
        ]
        everyone = sum(c.delay < age for c in mature) / len(mature) if mature else 1.0
        own = [c for c in mature if c.category == category]
        return (sum(c.delay < age for c in own) + 20 * everyone) / (len(own) + 20)

    def sums(
        self, chosen: list[Click], day: int, category: str | None = None
    ) -> tuple[float, float, int]:
        conversions = clicks = 0.0
        plain = 0
        for c in chosen:
            age = day - c.day
            if not 1 <= age <= self.o.window_days:
                continue
            if self.o.delay == "mature" and age <= ATTRIBUTION:
                continue
            w = self.weight(age)
            plain += 1
            conversions += w * self.seen(c, day)
            share = 1.0
            if self.o.delay == "corrected":
                share = self.share_shown(category or c.category, age, day)
            clicks += w * share
        return conversions, clicks, plain

    def prior(self, category: str, kind: str, day: int) -> float:
        m = self.o.prior_clicks
        prior = self.o.alpha
        for level in (
            self.clicks,
            [c for c in self.clicks if c.category == category],
            [c for c in self.clicks if (c.category, c.kind) == (category, kind)],
        ):
            conversions, clicks, _ = self.sums(level, day)
            prior = (conversions + m * prior) / (clicks + m)
        return prior

    def cvr(self, setup: str, day: int) -> tuple[float, int]:
        own = [c for c in self.clicks if c.setup == setup]
        first = min(own, key=lambda c: (c.day, c.category, c.kind))
        conversions, clicks, plain = self.sums(own, day, first.category)
        prior = self.prior(first.category, first.kind, day)
        m = self.o.prior_clicks
        return (conversions + m * prior) / (clicks + m), plain

    def sides(
        self, setup: str, cvr: list[tuple[float, int]], first: int, threshold: float
    ) -> list[tuple[bool, str]]:
        hard: bool | None = None
        changed, settled, out = first, False, []
        for i, (value, plain) in enumerate(cvr):
            day = first + i
            plainly = value <= threshold
            cold = plain == 0 and not settled
            if cold and self.o.cold_start in ("hard", "soft"):
                new = self.o.cold_start == "hard"
            elif not settled:
                new = plainly
            elif day - changed < self.o.min_dwell_days:
                new = bool(hard)
            elif hard:
                new = value <= threshold * (1 + self.o.band)
            else:
                new = value <= threshold * (1 - self.o.band)
            if setup in self.o.pins:
                new = self.o.pins[setup] == "hard"
            if setup in self.o.pins:
                why = "pinned"
            elif cold:
                why = "cold_start"
            elif new != plainly:
                why = "held"
            else:
                why = "prior" if plain < self.o.min_clicks else "history"
            if hard is None or new != hard or not settled:
                changed = day
            hard = new
            settled = settled or plain > 0
            out.append((new, why))
        return out


clicks_strategy = st.lists(
    st.builds(
        Click,
        setup=st.sampled_from(["a", "b", "c|d", "e"]),
        category=st.sampled_from(["buy", "visit"]),
        kind=st.sampled_from(["shop", "bank"]),
        day=st.integers(FIRST, FIRST + DAYS - 1),
        delay=st.one_of(st.none(), st.integers(0, ATTRIBUTION)),
    ),
    min_size=1,
    max_size=60,
)
options_strategy = st.builds(
    LabellingSettings,
    alpha=st.sampled_from([0.05, 0.3, 0.5]),
    online_alpha_ratio=st.sampled_from([0.8, 1.0]),
    window_days=st.sampled_from([1, 3, 10, 40]),
    half_life_days=st.sampled_from([0.5, 3.0, 50.0]),
    delay=st.sampled_from(["naive", "mature", "corrected"]),
    prior_clicks=st.sampled_from([0.3, 2.0, 20.0]),
    min_clicks=st.sampled_from([0, 3]),
    band=st.sampled_from([0.0, 0.2]),
    min_dwell_days=st.sampled_from([0, 1, 4]),
    cold_start=st.sampled_from(["prior", "hard", "soft", "fallback"]),
    pins=st.sampled_from([{}, {"a": "soft"}]),
)


@settings(max_examples=60, deadline=None)
@given(clicks=clicks_strategy, options=options_strategy)
def test_agrees_with_the_definition(clicks: list[Click], options: LabellingSettings) -> None:
    as_of = FIRST + DAYS
    got = labelled(clicks, as_of, options)
    visible = [
        c
        if c.delay is not None and c.day + c.delay < as_of
        else Click(**{**vars(c), "delay": None})
        for c in clicks
    ]
    oracle = Oracle(visible, options)
    for setup in {c.setup for c in clicks}:
        first = min(c.day for c in clicks if c.setup == setup)
        cvr = [oracle.cvr(setup, day) for day in range(first, as_of + 1)]
        offline = oracle.sides(setup, cvr, first, options.alpha)
        online = oracle.sides(setup, cvr, first, options.online_alpha)
        for i, (value, plain) in enumerate(cvr):
            day = first + i
            clicked = sum(c.setup == setup and c.day == day for c in clicks)
            if not clicked and day != as_of:
                assert (setup, day) not in got
                continue
            row = got[setup, day]
            assert row["historical_cvr"] == pytest.approx(value, rel=1e-9, abs=1e-12)
            assert row["observed_clicks"] == plain
            assert row["clicks"] == clicked
            # Exactly on a threshold, the last bit of the sum decides.
            close = [t * b for t in (options.alpha, options.online_alpha) for b in (1, 1.2, 0.8)]
            if not any(abs(v - t) < 1e-9 for v, _ in cvr for t in close):
                assert (row["hard"], Reason(row["reason"]).name.lower()) == offline[i]
                assert (row["online_hard"], Reason(row["online_reason"]).name.lower()) == online[i]


@settings(max_examples=40, deadline=None)
@given(
    clicks=clicks_strategy,
    later=clicks_strategy,
    cut=st.integers(FIRST + 1, FIRST + DAYS),
    options=options_strategy,
)
def test_the_future_changes_nothing(
    clicks: list[Click], later: list[Click], cut: int, options: LabellingSettings
) -> None:
    """Whatever happens from day `cut` on leaves every assignment up to `cut` as it was."""
    as_of = FIRST + DAYS
    # A setup's context is that of its first day, known with the setup itself.
    anchor = [
        Click(s, k, t, FIRST, None)
        for s, k, t in [("a", "buy", "bank"), ("b", "visit", "shop"), ("c|d", "buy", "bank")]
    ] + [Click("e", "buy", "bank", FIRST, 0)]

    def world(future: list[Click]) -> list[Click]:
        past = [c for c in clicks if c.day < cut]
        return [*anchor, *past, *(c for c in future if c.day >= cut)]

    def mask(c: Click) -> Click:
        happened = c.delay is not None and c.day + c.delay < cut
        return c if happened or c.day >= cut else Click(**{**vars(c), "delay": None})

    one = labelled(world(clicks), as_of, options)
    other = labelled([mask(c) for c in world(later)], as_of, options)
    known = ("historical_cvr", "hard", "reason", "online_hard", "observed_clicks")
    for key in one.keys() & other.keys():
        if key[1] <= cut:
            assert [one[key][k] for k in known] == [other[key][k] for k in known]


@settings(max_examples=40, deadline=None)
@given(clicks=clicks_strategy, options=options_strategy, seed=st.integers(0, 99))
def test_order_and_partition_change_no_bit(
    clicks: list[Click], options: LabellingSettings, seed: int
) -> None:
    as_of = FIRST + DAYS
    whole = counts_of(clicks, as_of)
    rng = np.random.default_rng(seed)
    shuffled = [clicks[i] for i in rng.permutation(len(clicks))]
    cut = int(rng.integers(0, len(clicks) + 1))
    parts = [counts_of(p, as_of) for p in (shuffled[cut:], shuffled[:cut]) if p]
    assert merge_counts(parts).equals(whole)


def test_hand_worked_cvr() -> None:
    """Two clicks a day before, one converted at once, and one click two days before.

    Half-life 1 day: w(1) = 1/2, w(2) = 1/4; C = 1/2, N = 2/2 + 1/4 = 5/4. One setup alone in its
    category, m = 1 and alpha = 0.2 give the prior ((1/2 + 0.2) / (9/4)) = 0.3111.. at the top,
    then (1/2 + 0.3111) / (9/4) = 0.36049.., then 0.38244.., and the CVR 0.39219...
    """
    clicks = [
        Click("s", "buy", "shop", FIRST, None),
        Click("s", "buy", "shop", FIRST + 1, 0),
        Click("s", "buy", "shop", FIRST + 1, None),
        Click("s", "buy", "shop", FIRST + 2, None),
    ]
    options = LabellingSettings(
        alpha=0.2, half_life_days=1, window_days=5, delay="naive", prior_clicks=1.0
    )
    row = labelled(clicks, FIRST + 2, options)["s", FIRST + 2]
    expected = 0.2
    for _ in range(4):
        expected = (0.5 + expected) / 2.25
    assert row["historical_cvr"] == pytest.approx(expected, rel=1e-12)
    assert expected == pytest.approx(0.39219, abs=1e-5)


def test_buckets_are_independent() -> None:
    """A setup is assigned alike whoever shares its bucket."""
    rng = np.random.default_rng(5)
    clicks = [
        Click(f"s{rng.integers(9)}", "buy", "shop", FIRST + int(rng.integers(DAYS)), None)
        for _ in range(200)
    ]
    options = LabellingSettings(alpha=0.3)
    as_of = FIRST + DAYS
    counts = counts_of(clicks, as_of)
    context: Context = build_context(
        group_counts(counts), Calendar(FIRST, as_of), ATTRIBUTION, options
    )
    together, _ = assign(counts, context, ATTRIBUTION, options)
    for setup in ("s1", "s7"):
        own = counts.filter(pa.compute.equal(counts["setup_id"], setup))
        alone, _ = assign(own, context, ATTRIBUTION, options)
        assert alone.equals(together.filter(pa.compute.equal(together["setup_id"], setup)))
