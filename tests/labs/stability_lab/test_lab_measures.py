"""Flips, churn and wrong sides worked out by hand; replays against the labeller's own history."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from lab_logs import FIRST, Clicks, lab_log, random_rows

from components.task_labeler.decide.hysteresis import Reason
from components.task_labeler.settings import LabellingSettings
from labs.stability_lab.log.judge import TrueSides
from labs.stability_lab.replay.ablations import NO_PRIOR, ablations
from labs.stability_lab.replay.dominated import dominates
from labs.stability_lab.replay.frontier import Grid, frontier
from labs.stability_lab.replay.measures import measure, weighted_share
from labs.stability_lab.replay.replay import Replay, changed, replay

ROWS = [
    Clicks("x", 0, 10, 1, spend=1.0),
    Clicks("x", 1, 20, 0, spend=2.0),
    Clicks("x", 4, 30, 3, spend=4.0),
    Clicks("y", 1, 40, 4, spend=8.0),
    Clicks("y", 2, 50, 0, spend=16.0),
]
LABELLING = LabellingSettings(alpha=0.05, window_days=6, half_life_days=3, prior_clicks=16)


def decided(hard: list[bool], online: list[bool] | None = None) -> Replay:
    n = len(hard)
    return Replay(
        np.array(hard),
        np.array(online or hard),
        np.zeros(n, np.int8),
        np.zeros(n),
        np.zeros(n, np.int64),
    )


def test_measures_by_hand() -> None:
    log = lab_log(ROWS, as_of=6)
    truth = np.array([1.0, 1.0, 0.0, np.nan, 0.25])
    #      x0    x1     x4    y1    y2; x flips on days 1 and 4, y never
    made = decided([True, False, True, True, True], [True, False, False, True, True])
    m = measure(log.cells, made, truth, np.ones(5, bool))
    assert (m.setup_days, m.setups, m.clicks) == (5, 2, 150)
    assert (m.flips, m.online_flips, m.restless_setups) == (2, 1, 1)
    assert m.flip_rate == pytest.approx(2 / 5)
    assert m.churned_clicks == pytest.approx(50 / 150)
    assert m.churned_spend == pytest.approx(6 / 31)
    assert m.restless_clicks == pytest.approx(60 / 150)
    assert m.restless_spend == pytest.approx(7 / 31)
    assert m.hard_clicks == pytest.approx(130 / 150)
    assert m.hard_conversions == pytest.approx(8 / 8)
    assert m.apart_clicks == pytest.approx(30 / 150)
    assert m.judged_clicks == pytest.approx(110 / 150)
    assert m.soft_as_hard == pytest.approx((30 + 0.75 * 50) / 110)
    assert m.hard_as_soft == pytest.approx(20 / 110)
    assert m.wrong_clicks == pytest.approx((20 + 30 + 0.75 * 50) / 110)
    assert m.wrong_spend == pytest.approx((2 + 4 + 0.75 * 16) / 23)
    assert m.true_flips is None


def test_scope_leaves_cells_out_but_looks_back_at_them() -> None:
    log = lab_log(ROWS, as_of=6)
    made = decided([True, False, True, True, True])
    truth = np.array([1.0, 0.0, 0.0, 1.0, 0.0])
    m = measure(log.cells, made, truth, log.cells.day >= FIRST + 1)
    assert (m.setup_days, m.flips, m.true_flips) == (4, 2, 2)
    m = measure(log.cells, made, truth, log.cells.day >= FIRST + 2)
    assert (m.setup_days, m.flips, m.true_flips) == (2, 1, 1)
    assert m.restless_clicks == pytest.approx(30 / 80)


def test_no_spend_is_not_zero_spend() -> None:
    assert weighted_share(None, np.ones(1), np.ones(1, bool)) is None
    assert weighted_share(np.array([0.0]), np.ones(1), np.ones(1, bool)) is None


def test_log_sums() -> None:
    log = lab_log([*ROWS, Clicks("y", 2, 5, 2, delay=9, spend=3.0)], as_of=6)
    assert log.setups.ids == ["x", "y"]
    assert log.cells.setup.tolist() == [0, 0, 0, 1, 1]
    assert (log.cells.day - FIRST).tolist() == [0, 1, 4, 1, 2]
    assert log.cells.clicks.tolist() == [10, 20, 30, 40, 55]
    # Two conversions come after the as-of day.
    assert log.cells.conversions.tolist() == [1, 0, 3, 4, 0]
    assert log.cells.spend is not None
    assert log.cells.spend.tolist() == [1, 2, 4, 8, 19]
    assert log.mature.tolist() == [True, True, False, True, True]


def test_replay_by_hand() -> None:
    """Without a prior, a delay correction or a stabiliser a side is C / N <= alpha."""
    log = lab_log(ROWS, as_of=6)
    plain = ablations(LABELLING, 2)
    settings = next(v.settings for v in plain if v.name == "plain CVR against alpha")
    made = replay(log, settings)
    # Day 0: a log that has shown nothing calls nothing hard. x on day 1: 1 of 10, soft. x on day 4:
    # (1 w4) / (10 w4 + 20 w3) with w = 2^(-k/3).
    w3, w4 = 2.0 ** (-3 / 3), 2.0 ** (-4 / 3)
    assert made.cvr[2] == pytest.approx(w4 / (10 * w4 + 20 * w3))
    assert made.hard.tolist() == [False, False, True, False, False]
    assert made.observed.tolist() == [0, 10, 30, 0, 40]
    # y on its first day goes by the prior, which has seen 1 conversion of 10 clicks.
    assert made.reason[3] == Reason.COLD_START


def test_context_can_be_taken_away() -> None:
    rows = [
        *(Clicks("soft", d, 50, 25, category="visit") for d in range(6)),
        *(Clicks("hard", d, 400, 0, category="buy") for d in range(6)),
        Clicks("new", 6, 10, category="visit"),
    ]
    log = lab_log(rows, as_of=7)
    settings = changed(LABELLING, delay="naive", alpha=0.2)
    new = log.setups.ids.index("new")
    cell = int(np.flatnonzero(log.cells.setup == new)[0])
    assert not replay(log, settings).hard[cell]
    assert replay(log, settings, grouped=False).hard[cell]


def test_variants_differ_from_the_settings_as_named() -> None:
    found = {v.name: v for v in ablations(LABELLING, 2)}
    assert next(iter(found)) == "as configured"
    assert found["as configured"].settings == LABELLING
    assert found["without band"].settings == changed(LABELLING, band=0.0)
    assert found["without dwell"].settings == changed(LABELLING, min_dwell_days=0)
    assert found["without prior"].settings == changed(LABELLING, prior_clicks=NO_PRIOR)
    assert found["plain and band"].settings.band == LABELLING.band
    assert found["plain and band"].settings.delay == "naive"
    assert found["delay mature"].settings.delay == "mature"
    # A window of 6 days holds no click older than 6.
    assert "delay mature" not in {v.name for v in ablations(LABELLING, 6)}
    # What is off already is not put in alone.
    assert "plain and band" not in {v.name for v in ablations(changed(LABELLING, band=0.0), 2)}


def test_frontier_marks_the_efficient_and_the_chosen() -> None:
    log = lab_log(random_rows(1), as_of=20)
    scope = np.ones(len(log.cells), bool)
    judge = TrueSides(np.where(log.cells.setup % 2, 0.2, 0.01))
    grid = Grid.around(LABELLING, bands=(0.0, 0.3), half_lives=(1.0, 3.0, 9.0))
    assert grid.alphas == pytest.approx((0.045, 0.05, 0.055))
    assert grid.bands == (0.0, 0.1, 0.3)
    assert grid.half_lives == (1.0, 3.0, 9.0)
    seen: list[tuple[int, int]] = []
    points = frontier(log, LABELLING, grid, judge, scope, lambda *done: seen.append(done))
    assert len(points) == len(grid) == 27
    assert seen[-1] == (27, 27)
    chosen = [p for p in points if p.chosen]
    assert [(p.alpha, p.band, p.half_life_days) for p in chosen] == [(0.05, 0.1, 3.0)]
    own = measure(log.cells, replay(log, LABELLING), judge.hard(0.05), scope)
    assert chosen[0].measures == own
    for p in points:
        better = [
            q
            for q in points
            if q.alpha == p.alpha
            and q.measures.flips <= p.measures.flips
            and (q.measures.wrong_clicks or 0) <= (p.measures.wrong_clicks or 0)
            and (q.measures.flips, q.measures.wrong_clicks)
            != (p.measures.flips, p.measures.wrong_clicks)
        ]
        assert p.efficient == (not better)


@pytest.mark.parametrize(
    ("flips", "wrong", "better"),
    [
        ((50, 100), (0.1, 0.1), True),
        ((50, 100), (0.1001, 0.1), False),
        # 24 fewer of 176 are within two standard deviations, 2 x 13.3.
        ((76, 100), (0.05, 0.1), False),
        ((70, 100), (0.05, 0.1), True),
    ],
)
def test_domination_takes_fewer_flips_beyond_chance(
    flips: tuple[int, int], wrong: tuple[float, float], better: bool
) -> None:
    log = lab_log([Clicks("a", 0, 10), Clicks("a", 1, 10)], as_of=8)
    any_ = measure(log.cells, replay(log, LABELLING), np.ones(2), np.ones(2, bool))
    one, other = (replace(any_, flips=f, wrong_clicks=w) for f, w in zip(flips, wrong, strict=True))
    assert dominates(one, other) is better
