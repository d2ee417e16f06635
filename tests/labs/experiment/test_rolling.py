"""As-of days of a simulated log with slow conversions: what each fit knows and is worth."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from common.days import to_date, to_day
from common.statistics.bootstrap import Draws
from components.task_labeler.decide.counts import count_delays
from components.task_labeler.settings import LabellingSettings, SplitSettings
from components.transform.layout import FeatureLayout
from labs.experiment.judging.judge import ON_DAY
from labs.experiment.judging.results import EXPECTED_RIG
from labs.experiment.judging.statistics import rig
from labs.experiment.run import Ended, Plan
from labs.experiment.show.page import Origin, html, markdown
from labs.experiment.studies.arms import Knowledge, Settings
from labs.experiment.studies.assignments import Log
from labs.experiment.studies.cuts import Subsample
from labs.experiment.studies.facts import RunFacts
from labs.experiment.studies.registry import build
from labs.experiment.trainings.data import FrozenData
from labs.experiment.trainings.rolling import AS_OF, NEW, WITHIN_A_DAY, Rolled, roll
from labs.experiment.trainings.store import Store
from labs.experiment.trainings.training import HARD_TOWER
from labs.simulator.log.truth import read_truth
from labs.simulator.settings import SimulatorSettings
from labs.simulator.simulate import simulate
from labs.simulator.world.delays import Delays
from schemas.contract import Contract
from schemas.errors import InputError

DAY = 86_400
WINDOW, EVAL_DAYS, DAYS = 10, 6, 56
SIMULATED = SimulatorSettings(
    clicks=60_000,
    days=DAYS,
    attribution_window_days=WINDOW,
    quick_conversions=0.1,
    seed=4,
    rates={"mistagged": 0.0},
    size={"advertisers": 40, "users": 5_000},
)
FIRST = to_day(SIMULATED.start_date)
AS_OF_DAY = FIRST + DAYS
PERIODS = SplitSettings(eval_days=EVAL_DAYS, calibration_days=3, warmup_days=7)
DELAYS = Delays([kind.delay.slower(0.1) for kind in SIMULATED.types], WINDOW)
CATEGORIES = [kind.name for kind in SIMULATED.types]
CONTRACT = {
    "name": "slow",
    "description": "conversions take days",
    "input": {"format": "parquet", "pattern": "none"},
    "attribution_window_days": WINDOW,
    "roles": {
        "timestamp": "timestamp",
        "conversion_timestamp": "conversion_timestamp",
        "label": "label",
        "setup": ["campaign_id", "conversion_goal"],
        "conversion_category": "conversion_category",
    },
    "features": {
        "of_setup": False,
        "categorical": [
            {"name": "campaign_id", "buckets": 300, "width": 2},
            {"name": "conversion_category", "buckets": len(CATEGORIES), "width": 2},
        ],
        "numeric": [{"name": "user_engagement"}],
    },
}
HARD = ("sign_up", "purchase", "high_value")


@pytest.fixture(scope="module")
def clicks(tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    """The log with its truth; labels are those of the end."""
    root = tmp_path_factory.mktemp("slow") / "log"
    simulate(SIMULATED, root)
    files = sorted(root.glob("clicks/*/*.parquet"))
    log = pa.concat_tables([pq.ParquetFile(file).read() for file in files])
    start = SIMULATED.start_date
    truth = read_truth(root, start, start + timedelta(days=DAYS))
    return log.append_column("setup_id", truth["setup_id"]).append_column(
        "probability", truth["probability"]
    )


@pytest.fixture(scope="module")
def data(clicks: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> FrozenData:
    """As a run of the day after the log keeps it, without a pipeline."""
    folder = tmp_path_factory.mktemp("data")
    contract = Contract.model_validate(CONTRACT)
    day = clicks["timestamp"].to_numpy() // DAY
    eval_first = AS_OF_DAY - WINDOW - EVAL_DAYS
    edges = [FIRST + 7, eval_first - 3, eval_first, AS_OF_DAY - WINDOW, AS_OF_DAY]
    for split, first, end in zip(
        ("train", "calibration", "eval", "recent"), edges, edges[1:], strict=False
    ):
        here = np.flatnonzero((day >= first) & (day < end))
        _write(clicks.take(pa.array(here)), folder / split)
    converted = clicks["conversion_timestamp"].to_numpy()
    delays = count_delays(
        clicks["conversion_category"].combine_chunks(),
        clicks["timestamp"].to_numpy(),
        np.where(converted < AS_OF_DAY * DAY, converted, -1),
        WINDOW,
    )
    pq.write_table(delays, folder / "delays.parquet")
    pq.write_table(pa.table({}), folder / "counts.parquet")
    record = {"contract": contract.model_dump_json(), "assignment_id": "a" * 16}
    (folder / "data.json").write_text(json.dumps(record))
    return FrozenData(folder, "slow", record)


def _write(part: pa.Table, place: Path) -> None:
    place.mkdir()
    category = np.array(part["conversion_category"].to_pylist())
    campaign = np.array([int(name.split("_")[-1][-6:]) for name in part["campaign_id"].to_pylist()])
    engagement = np.nan_to_num(part["user_engagement"].to_numpy()).astype(np.float32)
    ids = np.stack([campaign % 300, [CATEGORIES.index(c) for c in category]], axis=1)
    hard = np.isin(category, HARD)
    np.save(place / "ids.npy", ids.astype(np.int32))
    np.save(place / "nums.npy", np.stack([engagement, np.zeros_like(engagement)], axis=1))
    # What the run's judged fit knew: of no use to other as-of days.
    np.save(place / "label.npy", np.full(len(part), 7, np.float32))
    np.save(place / "completeness.npy", np.full(len(part), 7, np.float32))
    np.save(place / "hard.npy", hard)
    np.save(place / "cvr.npy", np.where(hard, 0.005, 0.1).astype(np.float32))
    np.save(place / "truth.npy", part["probability"].to_numpy())
    seen = part["conversion_timestamp"].to_numpy()
    facts = {
        "setup_id": part["setup_id"].combine_chunks().dictionary_encode(),
        "setup_category": part["conversion_category"].combine_chunks().dictionary_encode(),
        "click_time": part["timestamp"],
        "label": part["label"].cast(pa.int64()),
        "conversion_time": np.where(seen < AS_OF_DAY * DAY, seen, -1),
    }
    pq.write_table(pa.table(facts), place / "facts.parquet")


@pytest.fixture(scope="module")
def log() -> Log:
    contract = Contract.model_validate(CONTRACT)
    return Log(None, contract, to_date(AS_OF_DAY), LabellingSettings(), Path())


@pytest.fixture(scope="module")
def rolled(data: FrozenData, log: Log) -> tuple[Rolled, ...]:
    return roll(data, log, PERIODS, dates=2, days=5)


def test_the_last_days_are_judged(rolled: tuple[Rolled, ...], data: FrozenData, log: Log) -> None:
    """The truth is known up to the run's own as-of day; without it, labels must be mature."""
    assert [it.day for it in rolled] == [AS_OF_DAY - 10, AS_OF_DAY - 5]
    served = [it.known(Knowledge("served")) for it in rolled]
    assert len({it.key for it in (*rolled, *served)}) == 4

    class Real(FrozenData):
        def truth(self, split: str) -> None:
            return None

    real = Real(data.folder, data.key, data.record)
    (last,) = roll(real, log, PERIODS, dates=1, days=5)
    assert last.day == AS_OF_DAY - WINDOW - 5
    with pytest.raises(InputError, match=r"--dates 9, --days 5: .* wanted at most [1-8] dates"):
        roll(data, log, PERIODS, dates=9, days=5)


def days_of(data: FrozenData, split: str) -> tuple[int, int]:
    day = data.facts(split)["click_time"].to_numpy() // DAY
    return int(day.min()), int(day.max())


def test_what_each_fit_sees(rolled: tuple[Rolled, ...]) -> None:
    """The judged fit ends where the as-of day's own eval period would begin, the served one with
    yesterday; the level of the latter rests on the attribution window, which it learns too."""
    last = rolled[1]
    eval_first = last.day - WINDOW - EVAL_DAYS
    begin = FIRST + 7
    assert days_of(last, "train") == (begin, eval_first - 4)
    assert days_of(last, "calibration") == (eval_first - 3, eval_first - 1)
    assert last.held_out
    for served in (last.known(Knowledge("served")), last.known(Knowledge("served", final=True))):
        assert days_of(served, "train") == (begin, last.day - 1)
        assert days_of(served, "calibration") == (last.day - WINDOW, last.day - 1)
        assert not served.held_out
        assert days_of(served, "eval") == (last.day, last.day + 4)


@pytest.mark.parametrize("fit", ["judged", "served"])
def test_labels_are_what_had_been_observed(
    fit: str, rolled: tuple[Rolled, ...], clicks: pa.Table
) -> None:
    """Against the whole log's conversion times, and the delays that it was drawn with."""
    known = rolled[1].known(Knowledge(fit))
    columns, facts = known.columns("train"), known.facts("train")
    moment = known.until * DAY
    clicked = clicks["timestamp"].to_numpy()
    here = (clicked >= (FIRST + 7) * DAY) & (clicked // DAY <= days_of(known, "train")[1])
    when = clicks["conversion_timestamp"].to_numpy()[here]
    assert columns.label.tolist() == ((when >= 0) & (when < moment)).astype(float).tolist()
    final = clicks["label"].to_numpy()[here]
    assert columns.label.sum() < 0.95 * final.sum()
    told = rolled[1].known(Knowledge(fit, final=True)).columns("train")
    assert told.label.tolist() == final.tolist()
    assert told.completeness is None

    assert columns.completeness is not None
    age = moment - facts["click_time"].to_numpy()
    category = np.array(facts["setup_category"].to_pylist())
    for kind, frequent in enumerate(CATEGORIES[:2]):
        young = (category == frequent) & (age < WINDOW * DAY)
        assert columns.seen[young] == pytest.approx(DELAYS.cdf(kind, age[young]), abs=0.06)
    assert (columns.seen[age >= WINDOW * DAY] == 1).all()


def test_facts_of_judged_examples(rolled: tuple[Rolled, ...], clicks: pa.Table) -> None:
    last = rolled[1]
    facts = last.facts("eval")
    assert set(facts[AS_OF].to_pylist()) == {last.day}
    day = clicks["timestamp"].to_numpy() // DAY
    met = set(
        clicks.filter(pa.array((day >= FIRST + 7) & (day <= days_of(last, "train")[1])))[
            "setup_id"
        ].to_pylist()
    )
    assert facts[NEW].to_pylist() == [s not in met for s in facts["setup_id"].to_pylist()]
    assert 0 < sum(facts[NEW].to_pylist()) < len(facts)
    category = np.array(facts["setup_category"].to_pylist())
    for kind, frequent in enumerate(CATEGORIES[:2]):
        (found,) = set(facts[WITHIN_A_DAY].to_numpy()[category == frequent].tolist())
        assert found == pytest.approx(float(DELAYS.cdf(kind, DAY)), abs=0.04)
    truth = last.truth("eval")
    here = (day >= last.day) & (day < last.day + 5)
    assert truth is not None
    assert truth.tolist() == clicks["probability"].to_numpy()[here].tolist()


def test_a_day_without_clicks_is_refused(rolled: tuple[Rolled, ...]) -> None:
    beyond = Rolled(*(rolled[0].folder, "k", rolled[0].record), AS_OF_DAY + 3, 5, PERIODS)
    with pytest.raises(InputError, match=r"as of .*: no click of .* \(eval\)"):
        beyond.columns("eval")


@pytest.fixture(scope="module")
def plan(data: FrozenData, log: Log, rolled: tuple[Rolled, ...], tiny_settings: Settings) -> Plan:
    settings = tiny_settings.but(
        training={"epochs": 1, "batch_size": 2048, "calibration": {"method": "level"}}
    )
    sets = tuple(f"{ON_DAY}{to_date(it.day)}" for it in rolled)
    layout = FeatureLayout.from_contract(log.contract)
    facts = RunFacts("slow", layout, 0.01, True, True, False, WINDOW + EVAL_DAYS, True, sets)
    experiment = build("freshness", settings, facts)
    draws = Draws(200, 1, 0.9)
    return Plan(experiment, data, log, (1,), Subsample(), draws, "code", 1, rolled)


def test_naive_labels_lose_where_conversions_take_days(ended: Ended) -> None:
    """Half of the last window's conversions are still to come: the naive level is far too low,
    and the corrected one is that of the true probabilities."""
    hard = ended.sets[0]
    level = {name: found.estimate for name, found in hard.levels.items()}
    assert level["refit, labels as observed"] < 0.72
    assert 0.75 < level["refit, corrected"] < 1.3
    assert 0.75 < level["refit, final labels"] < 1.3
    found = {
        (f.claim.arm, f.claim.against): f.difference
        for f in hard.findings
        if f.metric == EXPECTED_RIG
    }
    assert found["refit, corrected", "refit, labels as observed"].low > 0


def test_all_as_of_days_are_judged_together(
    ended: Ended, plan: Plan, store: Store, rolled: tuple[Rolled, ...]
) -> None:
    sets = {found.name: found for found in ended.sets}
    days = [sets[f"{ON_DAY}{to_date(it.day)}"] for it in rolled]
    hard = sets["hard"]
    assert hard.examples == sum(found.examples for found in days)
    for one, other in (("hard_quick", "hard_slow"), ("hard_known", "hard_new")):
        assert 0 < sets[one].examples < hard.examples
        assert sets[one].examples + sets[other].examples == hard.examples
    arm = "refit, corrected"
    trainings = ended.trainings[arm]
    assert len(trainings) == len(rolled)
    parts = []
    for it, training in zip(rolled, trainings, strict=True):
        rows = it.columns("eval").hard
        predicted = store.predictions(training["key"], HARD_TOWER)[rows].astype(float)
        truth = it.truth("eval")
        assert truth is not None
        parts.append((truth[rows], predicted))
    whole = [np.concatenate(both) for both in zip(*parts, strict=True)]
    assert hard.arms[arm][EXPECTED_RIG].value == pytest.approx(rig(*whole))
    assert hard.levels[arm].estimate == pytest.approx(whole[1].sum() / whole[0].sum(), rel=1e-9)
    low, high = hard.levels[arm].low, hard.levels[arm].high
    assert low < hard.levels[arm].estimate < high


def test_the_page_begins_in_short(plan: Plan, ended: Ended) -> None:
    text = markdown(plan, ended)
    assert text.index("### In short") < text.index("### On hard examples")
    for it in plan.rolled:
        assert f"hard after {to_date(it.day)}" in text
    assert "true level" in text
    origin = Origin("run", "slow", "1.0", str(date(2024, 1, 1)), "hardtower experiment freshness")
    assert "In short" in html(plan, ended, origin, "settings")
