"""The labeller's decisions against a slow, obvious reimplementation on random logs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from components.task_labeler.calendar import Calendar
from components.task_labeler.decide.assign import assign, assign_log
from components.task_labeler.decide.counts import count_clicks, group_counts, merge_counts
from components.task_labeler.decide.estimates import estimate_shared
from components.task_labeler.decide.hysteresis import Reason, assign_sides
from components.task_labeler.decide.pins import Pin
from components.task_labeler.settings import LabellingSettings

DAY = 86_400
EPOCH = date(1970, 1, 1)
FIRST = 17_000
ATTRIBUTION = 4
DAYS = 12


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
    calendar = Calendar(min(c.day for c in clicks), as_of)
    history, _ = assign_log(counts_of(clicks, as_of), calendar, ATTRIBUTION, options)
    return {(row["setup_id"], row["day"]): row for row in history.to_pylist()}


@dataclass(frozen=True)
class Belief:
    """What is known of a setup on a day: C, N, the prior and its clicks, plain clicks."""

    conversions: float
    clicks: float
    prior: float
    m: float
    plain: int

    @property
    def mean(self) -> float:
        return (self.conversions + self.m * self.prior) / (self.clicks + self.m)

    def probability(self, threshold: float) -> float:
        hits = self.conversions + self.m * self.prior
        misses = self.clicks - self.conversions + self.m * (1 - self.prior)
        return float(beta.cdf(threshold, hits, misses))


class Oracle:
    """Every number by its definition, one click at a time."""

    def __init__(self, clicks: list[Click], options: LabellingSettings) -> None:
        self.clicks, self.o = clicks, options
        self.context = {}
        for c in sorted(clicks, key=lambda c: (c.day, c.category, c.kind)):
            self.context.setdefault(c.setup, (c.category, c.kind))
        self.estimates: dict[int, dict[str, float]] = {}

    def seen(self, c: Click, day: int) -> bool:
        return c.delay is not None and c.day + c.delay < day

    def share_shown(self, category: str, age: int, day: int) -> float:
        """Product over the delays of `age` days and more of 1 - hazard, from conversions of clicks
        old enough to have shown that delay."""
        share = 1.0
        for delay in range(max(age, 1), ATTRIBUTION + 1):
            old = [
                c
                for c in self.clicks
                if c.delay is not None and c.delay <= delay and c.day + delay < day
            ]
            guess = 1 - (delay / (delay + 1)) ** 0.25
            overall = (sum(c.delay == delay for c in old) + guess) / (len(old) + 1)
            own = [c.delay for c in old if c.category == category]
            share *= 1 - (own.count(delay) + 20 * overall) / (len(own) + 20)
        return share

    def sums(
        self, chosen: list[Click], day: int, category: str, power: int = 1, delay: str = ""
    ) -> tuple[float, float, int]:
        """C, N and plain clicks; with power 2, by squared weights."""
        conversions = clicks = 0.0
        plain = 0
        delay = delay or self.o.delay
        for c in chosen:
            age = day - c.day
            if not 1 <= age <= self.o.window_days:
                continue
            if delay == "mature":
                if age <= ATTRIBUTION:
                    continue
                age -= ATTRIBUTION
            w = 2.0 ** (-age * power / self.o.half_life_days)
            plain += 1
            conversions += w * self.seen(c, day)
            clicks += w * (self.share_shown(category, age, day) if delay == "corrected" else 1)
        return conversions, max(clicks, conversions) if delay == "corrected" else clicks, plain

    def of_setup(self, setup: str) -> list[Click]:
        return [c for c in self.clicks if c.setup == setup]

    def strength(self, category: str | None, day: int) -> float:
        """Clicks of prior of a category's setups, of categories themselves for None."""
        if self.o.prior_clicks != "estimate":
            return self.o.prior_clicks
        if category is None:
            return 200.0
        refit = day - day % self.o.prior_refit_days
        if refit < min(c.day for c in self.clicks):
            return 200.0
        if refit not in self.estimates:
            self.estimates[refit] = self.estimate(refit)
        return self.estimates[refit][category]

    def estimate(self, day: int) -> dict[str, float]:
        excess: Counter[str] = Counter()
        room: Counter[str] = Counter()
        freedom: Counter[str] = Counter()
        for key in set(self.context.values()):
            setups = []
            for name in [s for s, own in self.context.items() if own == key]:
                conversions, n, _ = self.sums(self.of_setup(name), day, key[0])
                _, v, _ = self.sums(self.of_setup(name), day, key[0], power=2)
                if n > 0:
                    setups.append((conversions / n, n, v))
            if len(setups) < 2:
                continue
            total = sum(n for _, n, _ in setups)
            p = sum(rate * n for rate, n, _ in setups) / total
            spread = sum(n * (rate - p) ** 2 for rate, n, _ in setups)
            widest = sum(n - n * n / total for _, n, _ in setups)
            least = sum(v / n - v / total for _, n, v in setups)
            excess[key[0]] += spread - least * p * (1 - p)
            room[key[0]] += (widest - least) * p * (1 - p)
            freedom[key[0]] += len(setups) - 1

        def solve(e: float, r: float, f: float, other: float) -> float:
            if f < self.o.prior_min_setups or r <= 1e-9:
                return other
            rho = min(max(e / r, 1 / 10_001), 1 / 2)
            return float(f"{1 / rho - 1:.5e}")

        overall = solve(excess.total(), room.total(), freedom.total(), 200.0)
        found: dict[str, float] = {}
        for c in {c.category for c in self.clicks}:
            found[c] = solve(excess[c], room[c], freedom[c], overall)
        return found

    def prior(self, category: str, kind: str, day: int) -> float:
        groups = {}
        for key in {(c.category, c.kind) for c in self.clicks}:
            own = [c for c in self.clicks if (c.category, c.kind) == key]
            groups[key] = self.sums(own, day, key[0])
        m, prior = 6.0, 0.5
        for level in (list(groups), [k for k in groups if k[0] == category]):
            c = sum(groups[k][0] for k in level)
            n = sum(groups[k][1] for k in level)
            prior = (c + m * prior) / (n + m)
            m = self.strength(None, day)
        c, n, _ = groups[category, kind]
        m = self.strength(category, day)
        return (c + m * prior) / (n + m)

    def belief(self, setup: str, day: int) -> Belief:
        category, kind = self.context[setup]
        conversions, clicks, plain = self.sums(self.of_setup(setup), day, category)
        prior, m = self.prior(category, kind, day), self.strength(category, day)
        return Belief(conversions, clicks, prior, m, plain)

    def low(self, belief: Belief, threshold: float) -> bool:
        if self.o.decide_by == "mean":
            return belief.mean <= threshold
        return belief.probability(threshold) >= self.o.min_probability

    def close(self, belief: Belief) -> bool:
        """Whether the last bit of a sum may decide."""
        edges = [
            t * b
            for t in (self.o.alpha, self.o.online_alpha)
            for b in (1, 1 + self.o.band, 1 - self.o.band)
        ]
        if self.o.decide_by == "mean":
            return any(abs(belief.mean - t) < 1e-9 for t in edges)
        return any(abs(belief.probability(t) - self.o.min_probability) < 1e-7 for t in edges)

    def pin(self, setup: str, day: int) -> str | None:
        when = EPOCH + timedelta(days=day)
        for pin in self.o.pins:
            if pin.setup == setup and (pin.since or EPOCH) <= when < pin.expires:
                return pin.side
        return None

    def sides(
        self, setup: str, beliefs: list[Belief], first: int, threshold: float
    ) -> list[tuple[bool, str]]:
        hard: bool | None = None
        changed, settled, rested, out = first, False, False, []
        for i, belief in enumerate(beliefs):
            day = first + i
            plainly = self.low(belief, threshold)
            cold = belief.plain == 0 and not settled
            if cold and self.o.cold_start in ("hard", "soft"):
                new = self.o.cold_start == "hard"
            elif not settled:
                new = plainly
            elif rested and day - changed < self.o.min_dwell_days:
                new = bool(hard)
            elif hard:
                new = self.low(belief, threshold * (1 + self.o.band))
            else:
                new = self.low(belief, threshold * (1 - self.o.band))
            pin = self.pin(setup, day)
            if pin:
                new = pin == "hard"
            if pin:
                why = "pinned"
            elif cold:
                why = "cold_start"
            elif new != plainly:
                why = "held"
            else:
                why = "prior" if belief.plain < self.o.min_clicks else "history"
            if hard is None or new != hard or not rested:
                changed = day
            hard = new
            rested = rested or belief.plain >= self.o.min_clicks
            settled = settled or belief.plain > 0
            out.append((new, why))
        return out


def pin_of(setup: str, side: str, since: int | None, expires: int) -> Pin:
    start = None if since is None else EPOCH + timedelta(days=since)
    return Pin(
        setup=setup,
        side=side,
        reviewed_by="someone",
        reason="a test",
        since=start,
        expires=EPOCH + timedelta(days=expires),
    )


clicks_strategy = st.lists(
    st.builds(
        Click,
        setup=st.sampled_from(["a", "b", "c|d", "e", "f", "g"]),
        category=st.sampled_from(["buy", "visit", "install"]),
        kind=st.sampled_from(["shop", "bank"]),
        day=st.integers(FIRST, FIRST + DAYS - 1),
        delay=st.sampled_from([None, None, *range(ATTRIBUTION + 1)]),
    ),
    min_size=25,
    max_size=50,
)
options_strategy = st.builds(
    LabellingSettings,
    alpha=st.sampled_from([0.05, 0.3, 0.5]),
    online_alpha_ratio=st.sampled_from([0.8, 1.0]),
    window_days=st.sampled_from([1, 3, 10, 40]),
    half_life_days=st.sampled_from([0.5, 3.0, 50.0]),
    delay=st.sampled_from(["naive", "mature", "corrected", "corrected"]),
    prior_clicks=st.sampled_from([0.3, 2.0, 20.0, "estimate", "estimate"]),
    prior_refit_days=st.sampled_from([1, 5]),
    prior_min_setups=st.sampled_from([1, 3]),
    decide_by=st.sampled_from(["mean", "probability"]),
    min_probability=st.sampled_from([0.3, 0.5, 0.8]),
    min_clicks=st.sampled_from([0, 3]),
    band=st.sampled_from([0.0, 0.2]),
    min_dwell_days=st.sampled_from([0, 1, 4]),
    cold_start=st.sampled_from(["prior", "hard", "soft", "fallback"]),
    pins=st.sampled_from(
        [
            (),
            (pin_of("a", "soft", None, FIRST + 90),),
            (pin_of("a", "hard", None, FIRST + 6), pin_of("b", "soft", FIRST + 3, FIRST + 9)),
        ]
    ),
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
        beliefs = [oracle.belief(setup, day) for day in range(first, as_of + 1)]
        offline = oracle.sides(setup, beliefs, first, options.alpha)
        online = oracle.sides(setup, beliefs, first, options.online_alpha)
        surely = not any(oracle.close(belief) for belief in beliefs)
        for i, belief in enumerate(beliefs):
            day = first + i
            clicked = sum(c.setup == setup and c.day == day for c in clicks)
            if not clicked and day != as_of:
                assert (setup, day) not in got
                continue
            row = got[setup, day]
            assert row["historical_cvr"] == pytest.approx(belief.mean, rel=1e-9, abs=1e-12)
            probability = belief.probability(options.alpha)
            assert row["hard_probability"] == pytest.approx(probability, rel=1e-9, abs=1e-9)
            assert row["observed_clicks"] == belief.plain
            assert row["clicks"] == clicked
            if surely:
                assert (row["hard"], Reason(row["reason"]).name.lower()) == offline[i]
                assert (row["online_hard"], Reason(row["online_reason"]).name.lower()) == online[i]


def probes(clicks: list[Click], day: int) -> list[Click]:
    """A click of every setup on a day, so that there is an assignment to look at."""
    return [Click(c.setup, c.category, c.kind, day, None) for c in clicks]


KNOWN = (
    "historical_cvr",
    "hard_probability",
    "hard",
    "reason",
    "online_hard",
    "online_reason",
    "observed_clicks",
)


@settings(max_examples=150, deadline=None)
@given(
    clicks=clicks_strategy,
    later=clicks_strategy,
    cut=st.integers(FIRST + 1, FIRST + DAYS),
    options=options_strategy,
)
def test_the_future_changes_nothing(
    clicks: list[Click], later: list[Click], cut: int, options: LabellingSettings
) -> None:
    """Whatever happens from day `cut` on, new setups, categories and advertiser types among it,
    leaves every assignment up to `cut` as it was."""
    as_of = FIRST + DAYS
    past = [Click("a", "buy", "bank", FIRST, None), *(c for c in clicks if c.day < cut)]

    def world(future: list[Click], seen: list[Click]) -> list[Click]:
        return [*seen, *probes(past, cut), *(c for c in future if c.day >= cut)]

    def mask(c: Click) -> Click:
        happened = c.delay is not None and c.day + c.delay < cut
        return c if happened else Click(**{**vars(c), "delay": None})

    one = labelled(world(clicks, past), as_of, options)
    other = labelled(world(later, [mask(c) for c in past]), as_of, options)
    setups = {c.setup for c in past}
    compared = {k for k in one.keys() & other.keys() if k[0] in setups and k[1] <= cut}
    assert {(c.setup, day) for c in past for day in (c.day, cut)} <= compared
    for key in compared:
        assert [one[key][k] for k in KNOWN] == [other[key][k] for k in KNOWN]


@settings(max_examples=100, deadline=None)
@given(
    clicks=clicks_strategy,
    cut=st.integers(FIRST + 1, FIRST + DAYS),
    options=options_strategy,
)
def test_a_backfill_sees_what_was_seen_then(
    clicks: list[Click], cut: int, options: LabellingSettings
) -> None:
    """A run as of day `cut` and a later run agree on all days before, bit for bit."""
    whole = [Click("a", "buy", "bank", FIRST, 1), *clicks]
    past = [c for c in whole if c.day < cut]
    then = labelled(past, cut, options)
    later = labelled([*whole, *probes(past, cut)], FIRST + DAYS + 1, options)
    for key, row in then.items():
        assert [row[k] for k in KNOWN] == [later[key][k] for k in KNOWN]


@settings(max_examples=30, deadline=None)
@given(clicks=clicks_strategy, options=options_strategy)
def test_miscalls_agree_with_the_definition(
    clicks: list[Click], options: LabellingSettings
) -> None:
    """A setup-day is miscalled when CVR <= alpha differs from what the same clicks came to."""
    as_of = FIRST + DAYS
    calendar = Calendar(min(c.day for c in clicks), as_of)
    _, totals = assign_log(counts_of(clicks, as_of), calendar, ATTRIBUTION, options)
    visible = [
        c
        if c.delay is not None and c.day + c.delay < as_of
        else Click(**{**vars(c), "delay": None})
        for c in clicks
    ]
    oracle = Oracle(visible, options)
    wanted: Counter[str] = Counter()
    for setup, day in {(c.setup, c.day) for c in clicks if c.day <= as_of - ATTRIBUTION}:
        belief, own = oracle.belief(setup, day), oracle.of_setup(setup)
        category = oracle.context[setup][0]
        sums = {d: oracle.sums(own, day, category, delay=d) for d in ("naive", "mature")}
        sums["corrected"] = oracle.sums(own, day, category, delay="corrected")
        sums["chosen"] = (belief.conversions, belief.clicks, belief.plain)
        if not sums["naive"][2]:
            continue
        came = [Click(**{**vars(c), "delay": None if c.delay is None else -99}) for c in own]
        sums["truth"] = oracle.sums(came, day, category, delay="naive")
        cvrs = {d: Belief(c, n, belief.prior, belief.m, 0).mean for d, (c, n, _) in sums.items()}
        if any(abs(cvr - options.alpha) < 1e-9 for cvr in cvrs.values()):
            return
        wanted["judged_setup_days"] += 1
        for rule in ("naive", "mature", "corrected", "chosen"):
            called, truly = cvrs[rule] <= options.alpha, cvrs["truth"] <= options.alpha
            wanted[f"{rule}_miscalls"] += called != truly
            wanted[f"{rule}_false_hard"] += called and not truly
    got = {k: v for k, v in totals.counts.items() if k.startswith("judged") or "_miscalls" in k}
    got |= {k: v for k, v in totals.counts.items() if "_false_hard" in k}
    assert got == {key: wanted[key] for key in got}


@settings(max_examples=200, deadline=None)
@given(
    cvr=st.lists(st.floats(0, 0.04), min_size=1, max_size=30),
    observed=st.lists(st.integers(0, 200), min_size=30, max_size=30),
    band=st.floats(0, 0.9),
    dwell=st.integers(0, 12),
)
def test_neither_band_nor_dwell_adds_a_flip(
    cvr: list[float], observed: list[int], band: float, dwell: int
) -> None:
    """Over all days: each only leaves out some of the crossings that would have flipped a setup."""

    def flips(**stabilisers: float) -> int:
        sides = assign_sides(
            np.array([cvr]),
            np.maximum.accumulate(np.array([observed[: len(cvr)]])),
            np.array([0]),
            np.array([-1], np.int8),
            LabellingSettings.model_validate(
                {"band": 0, "min_dwell_days": 0, "min_clicks": 100} | stabilisers
            ),
            0.01,
        )
        return int(sides.flipped.sum())

    assert flips(band=band) <= flips()
    assert flips(min_dwell_days=dwell) <= flips()
    assert flips(band=band, min_dwell_days=dwell) <= flips(band=band)


def test_the_naive_rule_takes_young_setups_for_hard() -> None:
    """One click in five converts, two days later; alpha is 15 %, and traffic doubles daily."""
    rng = np.random.default_rng(3)
    clicks = [
        Click("old", "buy", "shop", FIRST + d, 2 if i < 8 else None)
        for d in range(12)
        for i in range(40)
    ]
    for k in range(8):
        for age in range(5):
            n = 10 * 2**age
            clicks += [
                Click(f"young{k}", "buy", "shop", FIRST + 6 + age, 2 if hit else None)
                for hit in rng.permutation(n) < n // 5
            ]
    options = LabellingSettings(alpha=0.15, half_life_days=3, window_days=10, prior_clicks=5)
    as_of = FIRST + 16
    calendar = Calendar(FIRST, as_of)
    _, totals = assign_log(counts_of(clicks, as_of), calendar, ATTRIBUTION, options)
    counts = totals.counts
    assert counts["naive_miscalls"] == counts["naive_false_hard"] >= 24
    # The curve is unknown until the first clicks are mature.
    assert counts["chosen_miscalls"] == counts["corrected_miscalls"] <= 4


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


def frequent(cvr: float, clicks_a_day: int, mean_days: float, seed: int) -> list[Click]:
    """Twenty setups of one CVR on twenty days; a conversion takes some days, at most ATTRIBUTION,
    and most setups begin on the first day."""
    rng = np.random.default_rng(seed)
    found = []
    for setup in range(20):
        for day in range(0 if setup < 15 else setup - 12, 20):
            for _ in range(clicks_a_day):
                delay = int(rng.exponential(mean_days))
                converts = rng.random() < cvr and delay <= ATTRIBUTION
                found.append(
                    Click(
                        f"s{setup}",
                        f"c{setup % 3}",
                        "shop",
                        FIRST + day,
                        delay if converts else None,
                    )
                )
    return found


@pytest.mark.parametrize("clicks_a_day", [4, 60])
@pytest.mark.parametrize("mean_days", [0.3, 1.5])
def test_no_setup_of_five_percent_is_ever_called_hard(clicks_a_day: int, mean_days: float) -> None:
    """Alpha is 1 %. The first days have shown next to nothing."""
    clicks = frequent(0.06, clicks_a_day, mean_days, seed=clicks_a_day)
    rows = labelled(clicks, FIRST + 20, LabellingSettings())
    assert len(rows) >= 20 * 20 * 0.6
    assert not [row for row in rows.values() if row["hard"] or row["online_hard"]]


def test_setups_of_a_tenth_of_a_percent_turn_hard_with_evidence() -> None:
    """The log's own rate is a tenth of alpha: once 300 clicks have shown as much, all are hard."""
    rows = labelled(frequent(0.001, 60, 0.3, seed=2), FIRST + 20, LabellingSettings())
    first = [row for (_, day), row in rows.items() if day == FIRST]
    later = [row for (_, day), row in rows.items() if day >= FIRST + 2]
    assert not any(row["hard"] for row in first)
    assert np.mean([row["hard"] for row in later]) > 0.9


def test_the_dwell_begins_with_evidence() -> None:
    """A setup that its few first clicks made soft turns hard on the day that says so, and is then
    held for the dwell though its clicks begin to convert."""
    clicks = [Click("other", "buy", "shop", FIRST + d, None) for d in range(12) for _ in range(400)]
    for day, (sold, shown) in enumerate([(1, 2), (0, 60), (0, 200), (40, 60), (40, 60), (40, 60)]):
        clicks += [
            Click("s", "buy", "shop", FIRST + 4 + day, 0 if i < sold else None)
            for i in range(shown)
        ]
    options = LabellingSettings(
        alpha=0.05, min_clicks=50, min_dwell_days=3, prior_clicks=5, delay="naive", band=0.0
    )
    rows = labelled(clicks, FIRST + 12, options)
    sides = [rows["s", FIRST + 4 + day]["hard"] for day in range(6)]
    assert sides == [True, False, True, True, True, False]


def test_hand_worked_cvr() -> None:
    """Two clicks a day before, one converted at once, and one click two days before.

    Half-life 1 day: w(1) = 1/2, w(2) = 1/4; C = 1/2, N = 2/2 + 1/4 = 5/4. All clicks have the CVR
    (1/2 + 3) / (5/4 + 6) = 14/29. One setup alone in its category, with m = 1, has the category's
    (1/2 + 14/29) / (9/4) = 0.43678.., then 0.41634.., and the CVR 0.40726...
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
    expected = 14 / 29
    for _ in range(3):
        expected = (0.5 + expected) / 2.25
    assert row["historical_cvr"] == pytest.approx(expected, rel=1e-12)
    assert expected == pytest.approx(0.40726, abs=1e-5)


def test_decay_begins_where_clicks_begin_to_count() -> None:
    """Under `mature` a day's clicks weigh, once their labels are final, what they weigh a day after
    the click where they count at once: the CVR is that of the same clicks moved back by the
    attribution window."""
    clicks = frequent(0.06, 4, 1.5, seed=3)
    at_once = [replace(c, delay=None if c.delay is None else 0) for c in clicks]
    moved = [replace(c, day=c.day - ATTRIBUTION) for c in at_once]
    options = LabellingSettings(prior_clicks=20, window_days=10)
    day = FIRST + 20
    young = labelled(at_once, day, options.model_copy(update={"delay": "naive"}))
    options = options.model_copy(update={"delay": "mature", "window_days": 10 + ATTRIBUTION})
    old = labelled(moved, day, options)
    for setup in {c.setup for c in clicks}:
        assert old[setup, day]["historical_cvr"] == pytest.approx(
            young[setup, day]["historical_cvr"], rel=1e-12
        )


def test_buckets_are_independent() -> None:
    """A setup is assigned alike whoever shares its bucket."""
    rng = np.random.default_rng(5)
    clicks = [
        Click(f"s{rng.integers(9)}", "buy", "shop", FIRST + int(rng.integers(DAYS)), None)
        for _ in range(200)
    ]
    options = LabellingSettings(alpha=0.3, prior_clicks=200)
    as_of = FIRST + DAYS
    counts = counts_of(clicks, as_of)
    calendar = Calendar(FIRST, as_of)
    context = estimate_shared(group_counts(counts), calendar, ATTRIBUTION, options)
    together, _ = assign(counts, context, ATTRIBUTION, options)
    for setup in ("s1", "s7"):
        own = counts.filter(pa.compute.equal(counts["setup_id"], setup))
        alone, _ = assign(own, context, ATTRIBUTION, options)
        assert alone.equals(together.filter(pa.compute.equal(together["setup_id"], setup)))
