"""True sides: the simulator's table, and hindsight against counting by hand."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lab_logs import FIRST, Clicks, lab_log, random_rows
from scipy.stats import beta, betabinom

from common.days import to_date
from labs.stability_lab.log.judge import (
    JEFFREYS,
    Hindsight,
    TrueSides,
    choose_judge,
    first_evaluated,
    fit_beta,
)
from schemas.errors import InputError


def write_truth(root: Path, rows: list[tuple[str, int, float]]) -> None:
    (root / "truth").mkdir()
    table = pa.table(
        {
            "setup_id": [s for s, _, _ in rows],
            "date": pa.array([to_date(FIRST + d) for _, d, _ in rows], pa.date32()),
            "cvr": [c for _, _, c in rows],
        }
    )
    pq.write_table(table, root / "truth" / "setups.parquet")


def test_truth_is_of_the_setup_and_the_day(tmp_path: Path) -> None:
    log = lab_log([Clicks("x", 0, 3), Clicks("x", 2, 4), Clicks("y", 1, 5)], as_of=4)
    # Other days and setups than the log's are no harm.
    truth = [("x", 0, 0.01), ("x", 1, 0.5), ("x", 2, 0.02), ("y", 1, 0.010001), ("z", 1, 0.1)]
    write_truth(tmp_path, [*truth, ("y", 30, 0.3), ("x", -4, 0.3)])
    judge = choose_judge(log, tmp_path, "auto", 5)
    assert isinstance(judge, TrueSides)
    assert judge.hard(0.01).tolist() == [1, 0, 0]
    assert judge.hard(0.02).tolist() == [1, 1, 1]


def test_truth_of_another_log_is_refused(tmp_path: Path) -> None:
    log = lab_log([Clicks("x", 0, 3), Clicks("x", 2, 4)], as_of=4)
    write_truth(tmp_path, [("x", 0, 0.01)])
    with pytest.raises(InputError, match=f"'x' on {to_date(FIRST) + timedelta(days=2)}"):
        choose_judge(log, tmp_path, "auto", 5)


def test_truth_asked_for_must_be_there(tmp_path: Path) -> None:
    log = lab_log([Clicks("x", 0, 3)], as_of=4)
    assert isinstance(choose_judge(log, tmp_path, "auto", 5), Hindsight)
    with pytest.raises(InputError, match=r"setups\.parquet"):
        choose_judge(log, tmp_path, "truth", 5)


@pytest.mark.parametrize("horizon", [1, 4, 40])
def test_hindsight_counts_mature_clicks_of_the_day_and_after(horizon: int) -> None:
    rows, as_of, attribution = random_rows(5), 20, 3
    log = lab_log(rows, as_of, attribution)
    alpha = 0.04
    got = Hindsight(log, horizon).hard(alpha)

    fits = {}
    for category in ("c0", "c1"):
        n, c = [], []
        for setup in log.setups.ids:
            own = [
                r
                for r in rows
                if r.setup == setup and r.category == category and r.day < as_of - attribution
            ]
            if any(r.setup == setup and r.category == category for r in rows):
                n.append(float(sum(r.clicks for r in own)))
                c.append(float(sum(r.conversions for r in own)))
        fits[category] = fit_beta(np.array(n), np.array(c))
    for i in range(len(log.cells)):
        setup, day = log.setups.ids[log.cells.setup[i]], log.cells.day[i] - FIRST
        ahead = [
            r
            for r in rows
            if r.setup == setup and day <= r.day < min(day + horizon, as_of - attribution)
        ]
        n, c = sum(r.clicks for r in ahead), sum(r.conversions for r in ahead)
        if n == 0:
            assert np.isnan(got[i])
            continue
        a, b = fits[ahead[0].category]
        assert got[i] == pytest.approx(beta.cdf(alpha, a + c, b + n - c))
    assert np.isnan(got).any()
    assert not np.isnan(got).all()


def test_beta_fit_is_the_most_likely_one() -> None:
    rng = np.random.default_rng(2)
    n = rng.integers(20, 500, 300).astype(float)
    c = rng.binomial(n.astype(int), rng.beta(1.5, 40, 300)).astype(float)
    a, b = fit_beta(n, c)

    def likelihood(a: float, b: float) -> float:
        return float(betabinom.logpmf(c, n, a, b).sum())

    best = likelihood(a, b)
    for factor_a in (0.95, 1.0, 1.05):
        for factor_b in (0.95, 1.0, 1.05):
            assert likelihood(a * factor_a, b * factor_b) <= best + 1e-3
    assert a / (a + b) == pytest.approx(1.5 / 41.5, rel=0.1)


@pytest.mark.parametrize(
    ("clicks", "conversions"), [([5.0], [1.0]), ([5.0, 9.0], [0.0, 0.0]), ([5.0, 0.0], [1.0, 0.0])]
)
def test_beta_fit_of_too_little(clicks: list[float], conversions: list[float]) -> None:
    assert fit_beta(np.array(clicks), np.array(conversions)) == JEFFREYS


def test_a_warmup_that_leaves_nothing() -> None:
    log = lab_log([Clicks("x", 0, 3), Clicks("x", 2, 4)], as_of=4)
    assert first_evaluated(log, 2) == FIRST + 2
    with pytest.raises(InputError, match="warmup: 3 days"):
        first_evaluated(log, 3)
