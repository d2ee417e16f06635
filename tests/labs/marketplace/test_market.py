"""The market over a small simulated world."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from click.testing import CliRunner

from labs.ab_report.report import ab_report
from labs.ab_report.settings import AbReportSettings
from labs.marketplace.market import VARIANTS, Market, run_market
from labs.marketplace.model import PushedModelScorer
from labs.marketplace.scorers import AdScorer, Noisy, Oracle, SetupMean, make_scorer
from labs.marketplace.settings import MarketSettings, parse_market_settings
from labs.simulator.log.clicks import Clicks
from labs.simulator.log.requests import RequestSource
from labs.simulator.log.tables import LogTables
from labs.simulator.settings import SimulatorSettings
from labs.simulator.simulate import simulate
from labs.simulator.world.world import World, build_world
from pipeline.cli import main
from schemas.errors import InputError

SIMULATOR = SimulatorSettings(clicks=2000, days=21, seed=5, size={"advertisers": 40, "users": 2000})
SMALL = MarketSettings(days=3, requests=6000, candidates=5, max_cvr=0.05, slots=12)


@pytest.fixture(scope="module")
def world() -> World:
    return build_world(SIMULATOR)


def market(world: World, control: AdScorer, variant: AdScorer, settings: MarketSettings) -> Market:
    return run_market(world, dict(zip(VARIANTS, (control, variant), strict=True)), settings)


def pooled_cpa(result: Market, variant: str) -> float:
    mine = result.outcome.to_pandas().query("variant == @variant")
    return float(mine.spend.sum() / mine.conversions.sum())


def test_candidates_have_the_worlds_own_probabilities(world: World) -> None:
    """Each term of the log-odds is looked up again, ad by ad."""
    calm = replace(
        world,
        settings=world.settings.model_copy(
            update={"intent": world.settings.intent.model_copy(update={"momentary_sd": 0.0})}
        ),
    )
    day = 16
    requests = RequestSource(calm, 0).day(day, 50, 4, calm.population.setup_weights(day))
    ads = requests.ads
    assert (len(requests), len(ads)) == (50, 200)
    for i in range(0, 200, 7):
        setup, user = ads.setup[i], ads.user[i]
        kind, category = calm.population.setup_type[setup], calm.population.setup_category[setup]
        log_odds = (
            calm.intercept[setup, day // 7]
            + calm.users.factors[user] @ calm.loadings.effect[kind, category]
            + calm.creative[ads.creative[i], kind]
            + calm.context.city[calm.users.city[user], kind]
            + calm.context.hour[ads.hour[i], kind]
            + calm.context.device[ads.device[i], kind]
            + calm.context.app[ads.app[i], kind]
            + calm.context.publisher[ads.publisher[i], kind]
        )
        assert ads.probability[i] == pytest.approx(1 / (1 + np.exp(-log_odds)), rel=1e-5)
        campaign = calm.population.creative_campaign[ads.creative[i]]
        assert campaign == calm.population.setup_campaign[setup]


def test_the_ads_of_a_request_share_user_page_and_measurements(world: World) -> None:
    requests = RequestSource(world, 0).day(16, 300, 4, world.population.setup_weights(16))
    log = LogTables(world).log(requests.ads).to_pandas()
    shared = ["user_id", "city", "device", "app_id", "publisher_id", "timestamp", "visits_7d",
              "user_engagement", "hours_since_last_visit", "viewability"]  # fmt: skip
    for name in shared:
        places = log[name].to_numpy(object).reshape(300, 4)
        same = (places == places[:, :1]) | (log[name].isna().to_numpy().reshape(300, 4))
        assert same.all(), name
    setups = requests.ads.setup.reshape(300, 4)
    for row, repeated in zip(setups, requests.repeated.reshape(300, 4), strict=True):
        assert repeated.tolist() == [row[i] in row[:i] for i in range(4)]


def test_candidate_setups_convert_at_their_rate(world: World) -> None:
    """The mean true probability of a setup's ads is its CVR, as for clicks."""
    weights = np.zeros(len(world.cvr))
    chosen = int(np.argmax(world.population.setup_weights(16)))
    weights[chosen] = 1.0
    ads = RequestSource(world, 0).day(16, 20_000, 2, weights).ads
    assert ads.probability.mean() == pytest.approx(world.cvr[chosen, 2], rel=0.05)


@pytest.mark.parametrize("pacing", ["none", "throttle", "bid"])
@pytest.mark.parametrize("auction", ["second_price", "first_price"])
def test_no_budget_is_exceeded(world: World, pacing: str, auction: str) -> None:
    tight = SMALL.model_copy(update={"pacing": pacing, "auction": auction, "budget_factor": 0.3})
    result = market(world, Oracle(), SetupMean(world), tight).outcome.to_pandas()
    assert (result.spend <= result.budget * (1 + 1e-9)).all()
    assert result.spend.sum() > 0.5 * result.budget.sum()
    assert (result.conversions <= result.clicks).all()
    assert (result.clicks == result.impressions).all()


def test_traffic_and_budgets_are_split(world: World) -> None:
    result = market(world, Oracle(), Oracle(), SMALL).outcome.to_pandas()
    sums = result.groupby("variant")[["requests", "budget", "impressions"]].sum()
    assert sums.requests.sum() == SMALL.requests
    assert abs(sums.requests["control"] - 3000) < 4 * np.sqrt(1500)
    assert sums.budget["control"] == pytest.approx(sums.budget["variant"])
    assert (sums.impressions <= sums.requests).all()
    assert set(result.day) == {"2024-01-19", "2024-01-20", "2024-01-21"}


def test_twins_with_one_scorer_do_the_same(world: World) -> None:
    twins = SMALL.model_copy(update={"traffic": "twin"})
    result = market(world, Oracle(), Oracle(), twins).outcome.to_pandas()
    control, variant = (
        result[result.variant == name].drop(columns="variant").reset_index(drop=True)
        for name in VARIANTS
    )
    assert control.equals(variant)
    assert control.requests.sum() == SMALL.requests


def test_the_same_seed_gives_the_same_market(world: World) -> None:
    other_batches = SMALL.model_copy(update={"batch_size": 777})
    other_seed = SMALL.model_copy(update={"seed": 1})
    first, again, moved = (
        market(world, Noisy(0.5, 0, 0), Noisy(0.5, 0, 1), settings).outcome
        for settings in (SMALL, other_batches, other_seed)
    )
    assert first.equals(again)
    assert not first.equals(moved)


def test_the_same_scorer_twice_gives_ratios_around_one(world: World, tmp_path: Path) -> None:
    even = SMALL.model_copy(update={"requests": 30_000, "outcomes": "expected"})
    outcome = market(world, SetupMean(world), SetupMean(world), even).outcome
    pq.write_table(outcome, tmp_path / "outcome.parquet")
    report = ab_report(tmp_path / "outcome.parquet", AbReportSettings())
    assert report.sound
    for row in (r for r in report.rows if r.name in ("Spend-Weighted", "Pooled")):
        assert row.cpa.low < 1 < row.cpa.high
        assert row.cpa.ratio == pytest.approx(1, abs=0.1)


def test_better_predictions_lower_cpa(world: World, tmp_path: Path) -> None:
    """Both see the same requests, and no outcome is drawn: what is left is the predictions."""
    planted = SMALL.model_copy(
        update={"requests": 8000, "candidates": 8, "outcomes": "expected", "traffic": "twin"}
    )
    result = market(world, Noisy(1.0, 0, 0), Oracle(), planted)
    assert result.candidates["variant"].rig > result.candidates["control"].rig
    pq.write_table(result.outcome, tmp_path / "outcome.parquet")
    rows = {r.name: r for r in ab_report(tmp_path / "outcome.parquet", AbReportSettings()).rows}
    assert rows["Spend-Weighted"].cpa.high < 1
    assert rows["Spend-Weighted"].conversion.ratio > 1
    assert pooled_cpa(result, "variant") < pooled_cpa(result, "control")


def test_noise_keeps_the_mean_of_rare_probabilities(world: World) -> None:
    rare = np.full(200_000, 0.002)
    ads = RequestSource(world, 0).day(16, 100_000, 2, world.population.setup_weights(16)).ads
    noisy = Noisy(0.8, 0, 0)(replace(ads, probability=rare))
    assert noisy.mean() == pytest.approx(0.002, rel=0.02)
    assert np.log(noisy / (1 - noisy)).std() == pytest.approx(0.8, rel=0.02)


class _Sum(tf.Module):
    """Reads one string and one float column; missing ones are told apart."""

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, "device"),
            tf.TensorSpec([None], tf.float32, "viewability"),
        ]
    )
    def raw(self, device: tf.Tensor, viewability: tf.Tensor) -> dict[str, tf.Tensor]:
        seen = tf.where(tf.math.is_nan(viewability), 0.0, viewability)
        wide = tf.cast(tf.equal(device, "desktop"), tf.float32)
        return {"probability": 0.1 + 0.5 * seen + 0.3 * wide}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "1"
    module = _Sum()
    tf.saved_model.save(module, str(path), signatures={"raw": module.raw})
    return path


def test_a_saved_model_reads_the_logs_columns(world: World, saved: Path) -> None:
    ads: Clicks = RequestSource(world, 0).day(16, 80, 3, world.population.setup_weights(16)).ads
    scores = PushedModelScorer(saved, world, "--variant-a")(ads)
    log = LogTables(world).log(ads).to_pandas()
    wanted: npt.NDArray[np.float64] = (
        0.1 + 0.5 * log.viewability.fillna(0.0) + 0.3 * (log.device == "desktop")
    ).to_numpy()
    assert scores == pytest.approx(wanted, abs=1e-6)
    assert log.viewability.isna().any()
    assert make_scorer(str(saved), world, 0, 0, "--variant-a")(ads) == pytest.approx(scores)


BAD_SCORERS = {
    "no model": ("nowhere", ["--variant-b", "'nowhere'", "saved_model.pb", "oracle"]),
    "noise below zero": ("noisy:-1", ["--variant-b", "'noisy:-1'", "noisy:<sd>"]),
    "noise not a number": ("noisy:much", ["'noisy:much'"]),
}


@pytest.mark.parametrize("case", BAD_SCORERS)
def test_a_wrong_scorer_is_named(world: World, case: str) -> None:
    spec, words = BAD_SCORERS[case]
    with pytest.raises(InputError) as caught:
        make_scorer(spec, world, 0, 0, "--variant-b")
    assert all(word in str(caught.value) for word in words)


def test_a_model_of_other_columns_is_named(world: World, tmp_path: Path) -> None:
    module = tf.Module()
    module.raw = tf.function(
        lambda household: {"probability": tf.strings.to_number(household)},
        input_signature=[tf.TensorSpec([None], tf.string, "household")],
    )
    tf.saved_model.save(module, str(tmp_path), signatures={"raw": module.raw})
    ads = RequestSource(world, 0).day(16, 2, 2, world.population.setup_weights(16)).ads
    with pytest.raises(InputError, match="reads 'household'"):
        PushedModelScorer(tmp_path, world, "--variant-a")(ads)


BAD_SETTINGS = {
    "unknown key": ({"request": 5}, "request: unknown key"),
    "one candidate": ({"candidates": 1}, "candidates"),
    "before the log": ({"start_date": "2023-12-31"}, "within the log"),
    "after the log": ({"start_date": "2024-01-21", "days": 3}, "within the log"),
    "nothing is that hard": ({"max_cvr": 1e-9, "days": 3}, "max_cvr"),
}


@pytest.mark.parametrize("case", BAD_SETTINGS)
def test_a_wrong_setting_of_the_market_is_named(world: World, case: str) -> None:
    table, words = BAD_SETTINGS[case]
    with pytest.raises(InputError, match=words):
        market(world, Oracle(), Oracle(), parse_market_settings(table))


def test_the_commands_from_log_to_report(tmp_path: Path) -> None:
    log, out = tmp_path / "log", tmp_path / "out"
    simulate(SIMULATOR, log)
    arguments = ["marketplace", "--log", str(log), "--variant-a", "mean", "--variant-b", "oracle"]
    sets = ["--set", "requests=4000", "--set", "days=2", "--set", "max_cvr=0.1"]
    done = CliRunner().invoke(main, [*arguments, "--out", str(out), *sets])
    assert done.exit_code == 0, done.output
    summary = json.loads((out / "marketplace.json").read_text())
    assert summary["variants"]["variant"]["scorer"] == "oracle"
    rigs = [summary["variants"][name]["candidates"]["rig"] for name in VARIANTS]
    assert rigs[0] < rigs[1]
    read = CliRunner().invoke(main, ["ab-report", str(out / "outcome.parquet")])
    assert read.exit_code == 0, read.output
    assert "Spend-Weighted" in read.output
    lost = CliRunner().invoke(main, [*arguments[:2], str(out), *arguments[3:], "--out", str(out)])
    assert lost.exit_code == 2
    assert "simulation.json" in lost.output
