"""Time to graduate and the policies' cost, by hand and against counting."""

from __future__ import annotations

import numpy as np
import pytest
from lab_logs import FIRST, Clicks, lab_log, random_rows

from components.task_labeler.settings import LabellingSettings
from labs.stability_lab.cold_start import ALL, GROUPS, before_graduation, quantile, study_cold_start
from labs.stability_lab.log.judge import TrueSides
from labs.stability_lab.replay.replay import replay

LABELLING = LabellingSettings(
    alpha=0.05, window_days=8, half_life_days=4, prior_clicks=16, min_clicks=20, delay="naive"
)
ROWS = [
    *(Clicks("old", d, 100, 1, advertiser="known") for d in range(8)),
    # 15 clicks by day 4, 30 by day 5: graduates on day 5, after 2 days and 30 clicks.
    Clicks("a", 3, 15, 3, advertiser="known", spend=1.0),
    Clicks("a", 4, 15, 3, advertiser="known", spend=2.0),
    Clicks("a", 5, 15, 3, advertiser="known", spend=4.0),
    # Never graduates.
    Clicks("b", 4, 5, 0, advertiser="fresh", spend=8.0),
    Clicks("b", 6, 7, 0, advertiser="fresh", spend=16.0),
    Clicks("c", 7, 9, 0, advertiser="fresh", spend=32.0),
]


def test_graduation_by_hand() -> None:
    log = lab_log(ROWS, as_of=9)
    cvr = np.where(np.array(log.setups.ids)[log.cells.setup] == "a", 0.2, 0.01)
    study = study_cold_start(log, LABELLING, TrueSides(cvr), FIRST + 2)
    everyone, known, fresh = study.graduation
    assert (everyone.group, known.group, fresh.group) == (ALL, *GROUPS)
    assert (everyone.setups, everyone.graduated, everyone.one_day) == (3, 1, 1)
    # At day 2 two are still watched (c was for 0 days), and one of them graduates.
    assert (everyone.median_days, everyone.slow_days) == (2, None)
    assert everyone.clicks_before == 15 + 15 + 5 + 7 + 9
    assert everyone.clicks == 45 + 12 + 9
    assert (known.setups, known.graduated, known.median_days, known.median_clicks) == (1, 1, 2, 30)
    assert (fresh.setups, fresh.graduated, fresh.median_days) == (2, 0, None)
    # Of 51 clicks before graduation, b's and c's 21 are hard.
    assert study.truly_hard == pytest.approx(21 / 51)


def test_costs_by_hand() -> None:
    log = lab_log(ROWS, as_of=9)
    cvr = np.where(np.array(log.setups.ids)[log.cells.setup] == "a", 0.2, 0.01)
    study = study_cold_start(log, LABELLING, TrueSides(cvr), FIRST + 2)
    costs = {(c.group, c.policy, c.until): c for c in study.costs}
    assert len(costs) == 3 * 4 * 2
    first = {policy: costs[ALL, policy, "first click"] for policy in ("prior", "hard", "soft")}
    assert {c.clicks for c in first.values()} == {15 + 5 + 9}
    assert first["hard"].wrong_clicks == pytest.approx(15 / 29)
    assert first["hard"].soft_as_hard == first["hard"].wrong_clicks
    assert first["hard"].wrong_spend == pytest.approx(1 / 41)
    assert first["soft"].wrong_clicks == pytest.approx(14 / 29)
    assert first["soft"].hard_as_soft == first["soft"].wrong_clicks
    later = {p: costs[ALL, p, "graduation"] for p in ("prior", "hard", "soft", "fallback")}
    assert later["hard"].wrong_clicks == pytest.approx(30 / 51)
    assert later["soft"].wrong_clicks == pytest.approx(21 / 51)
    # The labeller's own decision mends itself on day 4, when 3 of a's 15 clicks have converted.
    assert later["prior"].clicks == 51
    assert later["prior"].wrong_clicks == pytest.approx(15 / 51)
    assert later["fallback"].one_task_clicks == 1
    assert later["fallback"].wrong_clicks is None


def test_before_graduation_against_a_walk() -> None:
    log = lab_log(random_rows(9), as_of=20)
    made = replay(log, LABELLING)
    early = before_graduation(log.cells, made, LABELLING.min_clicks)
    done: set[int] = set()
    for i, setup in enumerate(log.cells.setup.tolist()):
        if made.observed[i] >= LABELLING.min_clicks:
            done.add(setup)
        assert early[i] == (setup not in done)
    assert 0 < early.sum() < len(early)


def test_a_log_without_advertisers_has_one_group() -> None:
    log = lab_log(ROWS, as_of=9)
    setups = type(log.setups)(log.setups.ids, log.setups.category, log.setups.advertiser_type, None)
    bare = type(log)(**(vars(log) | {"setups": setups}))
    study = study_cold_start(bare, LABELLING, TrueSides(np.full(len(log.cells), 0.01)), FIRST + 2)
    assert [g.group for g in study.graduation] == [ALL]


@pytest.mark.parametrize(
    ("time", "happened", "share", "wanted"),
    [
        ([1, 2, 3, 4], [1, 1, 1, 1], 0.5, 2),
        ([1, 2, 3, 4], [1, 1, 1, 1], 0.75, 3),
        # Freireich's 6-MP arm has its median at 23 weeks.
        (
            [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35],
            [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0],
            0.5,
            23,
        ),
        ([1, 2, 3], [0, 1, 0], 0.75, None),
        ([1, 2], [0, 0], 0.5, None),
        ([], [], 0.5, None),
    ],
)
def test_product_limit(
    time: list[int], happened: list[int], share: float, wanted: float | None
) -> None:
    assert quantile(np.array(time, float), np.array(happened, bool), share) == wanted
