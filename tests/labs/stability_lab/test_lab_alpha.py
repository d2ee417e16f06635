"""What falls on which side of alpha, against counting cell by cell."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lab_logs import DAY, FIRST, Clicks, lab_log, random_rows
from scipy.stats import rankdata

from components.task_labeler.settings import LabellingSettings
from labs.stability_lab.alpha import default_alphas, study_alpha
from labs.stability_lab.log.judge import Hindsight
from labs.stability_lab.replay.predictions import EVALUATIONS, Predictions, find_predictions
from labs.stability_lab.replay.replay import Replay, changed, replay
from schemas.errors import InputError

LABELLING = LabellingSettings(
    alpha=0.05, window_days=8, half_life_days=4, prior_clicks=16, min_clicks=10
)


def test_default_alphas() -> None:
    assert default_alphas(0.01) == (0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.04)
    assert default_alphas(0.004)[0] == 0.001
    assert 0.009 in default_alphas(0.004)
    assert max(default_alphas(0.4)) < 1


def test_parts_against_counting() -> None:
    log = lab_log(random_rows(3), as_of=20)
    scope = log.cells.day >= FIRST + 4
    rows = study_alpha(log, LABELLING, (0.02, 0.1), Hindsight(log, 8), scope)
    assert [row.alpha for row in rows] == [0.02, 0.05, 0.1]
    assert [row.chosen for row in rows] == [False, True, False]
    base = replay(log, LABELLING)
    for row in rows:
        made = replay(log, changed(LABELLING, alpha=row.alpha))
        keys = {(p.category, p.advertiser_type) for p in row.parts}
        assert keys == {(None, None), ("c0", None), ("c1", None), (None, "shop")} | {
            ("c0", "shop"),
            ("c1", "shop"),
        }
        for part in row.parts:
            clicks = conversions = hard_clicks = hard_conversions = flips = 0
            last: dict[int, bool] = {}
            for i in range(len(log.cells)):
                setup = int(log.cells.setup[i])
                if part.category not in (None, log.setups.category[setup]) or not scope[i]:
                    continue
                hard = bool(made.hard[i])
                clicks += log.cells.clicks[i]
                conversions += log.cells.conversions[i]
                hard_clicks += hard * log.cells.clicks[i]
                hard_conversions += hard * log.cells.conversions[i]
                same = i > 0 and log.cells.setup[i - 1] == setup
                flips += same and bool(made.hard[i - 1]) != hard
                last[setup] = hard
            assert (part.clicks, part.conversions, part.flips) == (clicks, conversions, flips)
            assert (part.hard_clicks, part.hard_conversions) == (hard_clicks, hard_conversions)
            assert (part.setups, part.hard_setups) == (len(last), sum(last.values()))
        moved = scope & (made.hard != base.hard)
        assert row.moved_clicks == pytest.approx(
            log.cells.clicks[moved].sum() / log.cells.clicks[scope].sum()
        )
        assert row.moved_setups == len(set(log.cells.setup[moved].tolist()))
    hard = [row.parts[0].hard_clicks for row in rows]
    assert hard == sorted(hard)
    assert hard[0] < hard[-1]


def write_predictions(folder: Path, setups: list[str], days: list[int], seed: int = 0) -> pa.Table:
    rng = np.random.default_rng(seed)
    n = len(setups)
    table = pa.table(
        {
            "setup_id": setups,
            "click_time": pa.array([(FIRST + d) * DAY + 77 for d in days], pa.int64()),
            "label": pa.array(rng.integers(0, 2, n), pa.int8()),
            "p_candidate": pa.array(rng.uniform(0.1, 0.9, n), pa.float32()),
            "p_one_task": pa.array(rng.uniform(0.1, 0.9, n), pa.float32()),
        }
    )
    folder.mkdir(parents=True)
    pq.write_table(table, folder / "predictions.parquet")
    return table


def test_scores_of_frozen_predictions(tmp_path: Path) -> None:
    log = lab_log([Clicks("x", 0, 9), Clicks("x", 1, 9), Clicks("y", 1, 9)], as_of=3)
    setups, days = ["x"] * 20 + ["y"] * 20, [0, 1] * 10 + [1] * 20
    table = write_predictions(tmp_path / "e", setups, days)
    predictions = Predictions.read(tmp_path / "e" / "predictions.parquet", log)
    # Hard: x on day 1, y on day 1.
    hard = np.array([False, True, True])
    made = Replay(hard, hard, np.zeros(3, np.int8), np.zeros(3), np.zeros(3, np.int64))
    chosen = np.array([s == "y" or d == 1 for s, d in zip(setups, days, strict=True)])
    label = table["label"].to_numpy()[chosen].astype(float)
    for score in predictions.scores(0.3, made):
        p = table[f"p_{score.model}"].to_numpy()[chosen].astype(float)
        gamma = label.mean()
        base = -gamma * np.log(gamma) - (1 - gamma) * np.log(1 - gamma)
        loss = -(label * np.log(p) + (1 - label) * np.log(1 - p)).mean()
        ranks = rankdata(p)[label == 1].sum() - label.sum() * (label.sum() + 1) / 2
        assert (score.alpha, score.examples, score.positives) == (0.3, 30, label.sum())
        assert score.rig == pytest.approx(1 - loss / base)
        assert score.auc == pytest.approx(ranks / (label.sum() * (1 - label).sum()))
        assert score.calibration == pytest.approx(p.sum() / label.sum())


@pytest.mark.parametrize(("setup", "day"), [("z", 0), ("x", 1), ("y", 5)])
def test_predictions_of_another_log(tmp_path: Path, setup: str, day: int) -> None:
    log = lab_log([Clicks("x", 0, 9), Clicks("y", 1, 9)], as_of=3)
    write_predictions(tmp_path / "e", ["x", setup], [0, day])
    with pytest.raises(InputError, match=f"setup '{setup}' has no click on"):
        Predictions.read(tmp_path / "e" / "predictions.parquet", log)


def test_predictions_are_found_by_the_metrics_they_gave(tmp_path: Path) -> None:
    for number, value in ((3, 0.5), (4, 0.6)):
        folder = tmp_path / EVALUATIONS / str(number)
        write_predictions(folder, ["x"], [0])
        (folder / "metrics.json").write_text(json.dumps([{"value": value}]))
    run = tmp_path / "runs" / "r"
    run.mkdir(parents=True)
    (run / "metrics.json").write_text(json.dumps([{"value": 0.5}]))
    assert find_predictions(tmp_path, run).parent.name == "3"
    (run / "metrics.json").write_text(json.dumps([{"value": 0.7}]))
    with pytest.raises(InputError, match="of run r"):
        find_predictions(tmp_path, run)
