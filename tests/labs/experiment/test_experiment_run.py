"""An experiment on a tiny data set from trainings to its page."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from common.statistics.bootstrap import Draws
from components.task_labeler.settings import LabellingSettings
from labs.experiment.judging.expected_auc import expected_auc
from labs.experiment.judging.results import (
    AUC,
    EXPECTED_AUC,
    EXPECTED_RIG,
    RECALIBRATED,
    RIG,
)
from labs.experiment.judging.statistics import rig
from labs.experiment.run import Ended, Plan, run_experiment
from labs.experiment.show.page import Origin, html, markdown, results
from labs.experiment.studies.arms import Arm, Claim, Experiment, Settings
from labs.experiment.studies.assignments import Log
from labs.experiment.studies.cuts import Subsample, advertiser_fold
from labs.experiment.trainings.data import FrozenData
from labs.experiment.trainings.store import Store
from labs.experiment.trainings.training import HARD_TOWER, OWN_TOWER
from schemas.contract import parse_contract

SEEDS = (1, 2)


@pytest.fixture(scope="module")
def plan(tiny_data: FrozenData, tiny_settings: Settings) -> Plan:
    longer = tiny_settings.but(training={"epochs": 2})
    arms = (
        Arm("own", longer, scoring="own_tower"),
        Arm("unseen", longer, folds=2),
        Arm("own again", longer, scoring="own_tower"),
    )
    claims = (Claim("own", "unseen", "+1%", "+2%"), Claim("own again", "own"))
    experiment = Experiment("tried", "Does it?", arms, claims, ("A note.",), ("hard", "all"))
    contract = parse_contract(tiny_data.record["contract"])
    log = Log(None, contract, date(1970, 5, 1), LabellingSettings(), Path())
    draws = Draws(200, 1, 0.9)
    return Plan(experiment, tiny_data, log, SEEDS, Subsample(), draws, "code", 1)


def test_arms_share_trainings(ended: Ended) -> None:
    keys = {name: [run["key"] for run in runs] for name, runs in ended.trainings.items()}
    assert keys["own"] == keys["own again"]
    assert [len(k) for k in keys.values()] == [2, 4, 2]
    assert len({k for found in keys.values() for k in found}) == 6


def test_figures_are_of_the_predictions(plan: Plan, ended: Ended, store: Store) -> None:
    columns, truth = plan.data.columns("eval"), plan.data.truth("eval")
    assert truth is not None
    fold = advertiser_fold(plan.data.facts("eval"), 2)
    assert set(fold) == {0, 1}
    unseen = ended.trainings["unseen"]
    for found, rows in zip(ended.sets, (columns.hard, np.ones(500, bool)), strict=True):
        label = columns.label[rows].astype(float)
        assert (found.examples, found.positives) == (rows.sum(), label.sum())
        own = [store.predictions(r["key"], OWN_TOWER)[rows] for r in ended.trainings["own"]]
        first, second = (
            np.where(
                fold == 0,
                *(store.predictions(unseen[i + turn]["key"], HARD_TOWER) for turn in range(2)),
            )[rows]
            for i in (0, 2)
        )
        for arm, predictions in (("own", own), ("unseen", [first, second])):
            by_seed = [rig(label, p.astype(float)) for p in predictions]
            assert found.arms[arm][RIG].value == pytest.approx(np.mean(by_seed))
            assert found.arms[arm][RIG].spread == pytest.approx(np.std(by_seed, ddof=1))
            expected = [rig(truth[rows], p.astype(float)) for p in predictions]
            assert found.arms[arm][EXPECTED_RIG].value == pytest.approx(np.mean(expected))
            ordered = [expected_auc(truth[rows], p.astype(float)) for p in predictions]
            assert found.arms[arm][EXPECTED_AUC].value == pytest.approx(np.mean(ordered))
        assert found.oracle[EXPECTED_RIG] == pytest.approx(rig(truth[rows], truth[rows]))
        assert found.oracle[EXPECTED_AUC] == pytest.approx(expected_auc(truth[rows], truth[rows]))
        for metric in (EXPECTED_RIG, EXPECTED_AUC):
            assert found.oracle[metric] > max(a[metric].value for a in found.arms.values())


def test_each_claim_is_judged_by_each_metric(ended: Ended) -> None:
    for found in ended.sets:
        judged = [(f.claim.arm, f.metric) for f in found.findings]
        metrics = (RIG, EXPECTED_RIG, EXPECTED_AUC, AUC)
        assert judged == [(arm, m) for arm in ("own", "own again") for m in metrics]
        for finding in found.findings[4:]:
            d = finding.difference
            assert (d.estimate, d.low, d.high) == (0.0, 0.0, 0.0)
            assert not finding.supported
            assert finding.verdict == "not supported"
    soft = {f.metric: f for f in ended.sets[1].findings if f.claim.arm == "own"}
    assert soft[EXPECTED_RIG].supported, "the soft tower knows soft rates, the hard one does not"
    assert soft[EXPECTED_RIG].verdict == "supported"


def test_platt_scaling_mends_the_level(plan: Plan, store: Store) -> None:
    """A network of soft examples scores hard ones far too high until it is scaled."""
    base = plan.experiment.arms[0].settings.but(model={"mode": "hard_only"})
    arms = (Arm("hard", base), Arm("soft", base, swapped=True))
    claims = (Claim("soft", "hard"),)
    changed = replace(plan.experiment, arms=arms, claims=claims, sets=("hard",))
    tried = replace(plan, experiment=changed, seeds=(1,))
    (found,) = run_experiment(tried, store, lambda _: None, lambda _: None).sets
    plain, scaled = (
        next(f.difference.estimate for f in found.findings if f.metric == m)
        for m in (RIG, RECALIBRATED)
    )
    assert plain < -0.2
    assert abs(scaled) < 0.5 * abs(plain)


def test_a_calibrator_is_fitted_and_told(plan: Plan, store: Store) -> None:
    """The level on what it is fitted on is mended; order and what Platt scaling leaves stay."""
    base = plan.experiment.arms[0].settings
    scaled = base.but(training={"calibration": {"method": "platt"}})
    arms = (Arm("plain", base), Arm("scaled", scaled))
    changed = replace(
        plan.experiment, arms=arms, claims=(Claim("scaled", "plain"),), sets=("hard",)
    )
    tried = replace(plan, experiment=changed, seeds=(1,))
    ended = run_experiment(tried, store, lambda _: None, lambda _: None)
    (record,) = ended.trainings["scaled"]
    assert record["calibration"]["method"] == "platt"
    assert record["calibration"]["after"]["ratio"] == pytest.approx(1, abs=0.02)
    assert ended.trainings["plain"][0]["calibration"] is None
    figures = ended.sets[0].arms
    assert figures["scaled"]["calibration"].value != figures["plain"]["calibration"].value
    for metric in (AUC, RECALIBRATED):
        gap = figures["scaled"][metric].value - figures["plain"][metric].value
        assert gap == pytest.approx(0, abs=2e-3)
    assert "calibrated as a run exports it (platt, " in markdown(tried, ended)
    assert "calibrated as a run" not in markdown(plan, replace(ended, trainings={}))


def test_the_report(plan: Plan, ended: Ended) -> None:
    origin = Origin("run", "tiny", "1.0", "2024-01-01", "hardtower experiment tried")
    page, text = html(plan, ended, origin, "settings: here"), markdown(plan, ended)
    for wanted in ("Does it?", "A note.", "own again", "not supported", "paper (other data)"):
        assert wanted in text
        assert wanted in page
    assert "| own | unseen |" in text
    assert "+2% |" in text
    assert "true probabilities (ceiling)" in text
    # Two sets of examples, four metrics with the simulator's truth.
    assert page.count('<figure class="plot">') == 2 * 4
    assert "settings: here" in page
    again = json.loads(json.dumps(results(plan, ended, origin)))
    assert again["seeds"] == [1, 2]
    assert [s["name"] for s in again["sets"]] == ["hard", "all"]
    assert again["sets"][0]["findings"][0]["verdict"] in ("supported", "not supported")
