"""Scarcer hard examples, and findings over several worlds."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from pydantic import BaseModel

from common.statistics.bootstrap import Draws
from components.task_labeler.settings import LabellingSettings
from labs.experiment.judging.results import EXPECTED_RIG
from labs.experiment.judging.statistics import Difference, over_worlds
from labs.experiment.judging.worlds import InWorld, arm_means, responses
from labs.experiment.run import Plan, run_experiment
from labs.experiment.show import worlds as page
from labs.experiment.studies.arms import Arm, Claim, Experiment, Settings
from labs.experiment.studies.assignments import Log
from labs.experiment.studies.cuts import Subsample, advertiser_fold, sampled, thinned
from labs.experiment.trainings.data import FrozenData
from labs.experiment.trainings.store import Store
from labs.experiment.trainings.training import Job, columns_of, held_out
from labs.experiment.worlds import WorldSpec
from labs.simulator.settings import SimulatorSettings
from schemas.contract import parse_contract
from schemas.errors import InputError

DRAWS = Draws(400, 1, 0.9)


def test_a_smaller_share_of_hard_examples_is_part_of_a_larger_one() -> None:
    hard = np.random.default_rng(1).random(20_000) < 0.4
    half, tenth = (thinned(hard, "train", share, 3) for share in (0.5, 0.1))
    for kept, share in ((half, 0.5), (tenth, 0.1)):
        assert kept[~hard].all()
        # Four standard deviations of a binomial share.
        assert kept[hard].mean() == pytest.approx(share, abs=4 * np.sqrt(0.25 / hard.sum()))
    assert (half | ~tenth).all()
    assert not np.array_equal(half, thinned(hard, "train", 0.5, 4))
    assert not np.array_equal(half, thinned(hard, "calibration", 0.5, 3))
    with pytest.raises(InputError, match="train: no hard example in 1e-09"):
        thinned(hard, "train", 1e-9, 3)


def test_an_arm_learns_from_fewer_and_is_judged_on_all(
    tiny_data: FrozenData, tiny_settings: Settings
) -> None:
    whole = Job(tiny_data, tiny_settings, 3, Subsample())
    half = replace(whole, hard_kept=0.5)
    for split in ("train", "calibration"):
        all_rows, fewer = columns_of(whole, split), columns_of(half, split)
        assert (~fewer.hard).sum() == (~all_rows.hard).sum()
        assert 0.35 < fewer.hard.sum() / all_rows.hard.sum() < 0.65
    assert len(columns_of(half, "eval")) == len(columns_of(whole, "eval"))
    assert len(held_out(half)) == len(held_out(whole))
    assert half.key("c") != whole.key("c")


def test_setups_and_advertisers_are_cut_together(
    tiny_data: FrozenData, tiny_settings: Settings
) -> None:
    sample = Subsample(share=0.5)
    job = Job(tiny_data, tiny_settings, 3, sample, folds=2, fold=1)
    facts, whole = tiny_data.facts("train"), tiny_data.columns("train")
    kept = sampled(facts, "train", sample)
    assert kept is not None
    seen = advertiser_fold(facts, 2) != 1
    found = columns_of(job, "train")
    assert 0 < len(found) < min(kept.sum(), seen.sum())
    assert np.array_equal(found.nums, whole.nums[kept & seen])


def test_one_world_speaks_for_itself() -> None:
    drawn = np.random.default_rng(2).normal(0.1, 1.0, 400)
    alone = Difference(0.1, drawn, 7)
    found = over_worlds([alone], DRAWS)
    assert np.array_equal(found.drawn, drawn)
    assert (found.estimate, found.setups) == (0.1, 7)


def test_the_interval_over_worlds_has_both_spreads() -> None:
    """Normal draws within worlds, worlds apart: the variance of a mean of W drawn worlds is
    (between + within) / W, with the variance between the worlds at hand."""
    rng, within = np.random.default_rng(3), 0.5
    places = np.array([-1.0, 0.2, 1.5, 0.4])
    worlds = [Difference(m, rng.normal(m, within, 20_000), 10) for m in places]
    found = over_worlds(worlds, Draws(20_000, 1, 0.9))
    assert found.estimate == pytest.approx(places.mean())
    assert found.setups == 40
    wanted = (places.var() + within**2) / len(places)
    assert found.drawn.var() == pytest.approx(wanted, rel=0.05)


def test_a_world_has_one_correlation_throughout() -> None:
    """Every setting of the simulator that is a correlation, found by its name."""

    def correlations(settings: BaseModel) -> list[float]:
        found = []
        for name, value in settings:
            if name.endswith("correlation"):
                found.append(value)
            elif isinstance(value, BaseModel):
                found += correlations(value)
        return found

    world = WorldSpec(0.37, 5, 20_000).settings
    assert set(correlations(world)) == {0.37}
    assert len(correlations(world)) == len(correlations(SimulatorSettings())) > 5
    assert (world.seed, world.clicks) == (5, 20_000)


def test_a_worlds_log_is_made_once_and_no_other_is_taken(tmp_path: Path) -> None:
    world = WorldSpec(0.5, 1, 300)
    log = world.log(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in log.rglob("*")}
    assert world.log(tmp_path) == log
    assert before == {path: path.stat().st_mtime_ns for path in log.rglob("*")}
    with pytest.raises(InputError, match="another simulator's settings"):
        replace(world, seed=2).log(tmp_path)


@pytest.fixture(scope="module")
def in_worlds(
    tiny_data: FrozenData, tiny_settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> list[InWorld]:
    """Two worlds of one correlation, which differ by the seed of the trainings alone."""
    store = Store(tmp_path_factory.mktemp("store"))
    only = tiny_settings.but(model={"mode": "hard_only"})
    arms = [
        Arm(f"{name} {share:g}", settings, hard_kept=share)
        for share in (1.0, 0.3)
        for name, settings in (("two", tiny_settings), ("only", only))
    ]
    claims = (Claim("two 1", "only 1"), Claim("two 0.3", "only 0.3"))
    experiment = Experiment("tried", "Does it?", tuple(arms), claims)
    log = Log(
        None,
        parse_contract(tiny_data.record["contract"]),
        date(1970, 5, 1),
        LabellingSettings(),
        Path(),
    )
    record = {**tiny_data.record, "splits": {"train": {"hard_positives": 99}}}
    found = []
    for seed in (1, 2):
        data = replace(tiny_data, record=record)
        plan = Plan(experiment, data, log, (seed,), Subsample(), DRAWS, "code", 1)
        ended = run_experiment(plan, store, lambda _: None, lambda _: None)
        found.append(InWorld(WorldSpec(0.6, seed, 1000), plan, ended))
    return found


def test_responses_are_means_of_the_worlds_findings(in_worlds: list[InWorld]) -> None:
    found = responses(in_worlds, DRAWS)
    own = [one.ended.sets[0].findings for one in in_worlds]
    assert [(r.together.claim, r.together.metric) for r in found] == [
        (f.claim, f.metric) for f in own[0]
    ]
    for response, *each in zip(found, *own, strict=True):
        assert list(response.worlds) == each
        mean = np.mean([f.difference.estimate for f in each])
        assert response.together.difference.estimate == pytest.approx(mean)
        assert response.supported == sum(f.difference.low > 0 for f in each)
    means = arm_means(in_worlds, 0.6, 0)
    wanted = [one.ended.sets[0].arms["two 0.3"][EXPECTED_RIG].value for one in in_worlds]
    assert means["two 0.3"][EXPECTED_RIG] == pytest.approx(np.mean(wanted))


def test_the_page_over_worlds(in_worlds: list[InWorld]) -> None:
    found = responses(in_worlds, DRAWS)
    text = page.markdown(in_worlds, found, DRAWS)
    html = page.html(in_worlds, found, DRAWS, {"command": "hardtower tried"}, "settings: here")
    for wanted in ("Does it?", "only 0.3", "of 2", "draws worlds with replacement"):
        assert wanted in text
        assert wanted in html
    # A line plot for each of four metrics, along the share of hard examples.
    assert html.count('<figure class="plot">') == 4
    assert html.count("correlation 0.6: ") == 4
    again = json.loads(json.dumps(page.results(in_worlds, found, DRAWS, {"command": "x"})))
    assert [w["seed"] for w in again["worlds"]] == [1, 2]
    assert len(again["responses"][0]["worlds"]) == 2
    assert again["arms"]["two 0.3"]["hard_kept"] == 0.3
