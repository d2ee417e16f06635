"""`hardtower experiment` on a finished run: the run's own figures, reports, resuming, refusals."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from html_pages import balanced
from small_log import CLICKS_A_DAY, DAYS, FIRST, WINDOW, FinishedRun

from labs.experiment.studies.arms import ByCategory, ByHistory
from labs.experiment.studies.assignments import Log, assigned
from labs.experiment.trainings.data import FrozenData
from labs.stability_lab.replay.predictions import find_predictions
from pipeline.cli import main
from pipeline.config import load_config
from pipeline.runs.artifacts import find_artifacts
from pipeline.studies.frozen_run import open_run
from schemas.errors import InputError

pytestmark = pytest.mark.tfx


def experiment(run: FinishedRun, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["experiment", *arguments, "--out", str(run.project.out)])


@pytest.fixture(scope="module")
def table3(first_run: FinishedRun) -> Result:
    # Other tests run the project again: not the newest run, but this one.
    done = experiment(first_run, "table3", "--seeds", "1", "--run-id", first_run.folder.name)
    assert done.exit_code == 0, done.output
    return done


def results(run: FinishedRun, name: str) -> tuple[dict[str, Any], Path]:
    folder = max((run.project.out / "experiments" / name).iterdir())
    return json.loads((folder / "results.json").read_text()), folder


def test_its_figures_are_those_of_the_run(first_run: FinishedRun, table3: Result) -> None:
    """Trained anew from the cached columns, by the run's seed: what the run's models scored."""
    found, _ = results(first_run, "table3")
    (hard,) = found["sets"]
    metrics = first_run.project.json(first_run.folder, "metrics.json")
    for model, arm in (("candidate", "two_tower"), ("one_task", "one_task")):
        for metric in ("rig", "auc", "calibration"):
            wanted = next(
                r["value"]
                for r in metrics
                if (r["model"], r["slice"], r["metric"]) == (model, "task=hard", metric)
            )
            assert hard["arms"][arm][metric]["value"] == pytest.approx(wanted, rel=1e-4)
    assert hard["arms"]["two_tower"]["rig"]["spread"] is None
    claim = next(f for f in hard["findings"] if f["metric"] == "rig")
    gap = hard["arms"]["two_tower"]["rig"]["value"] - hard["arms"]["one_task"]["rig"]["value"]
    assert claim["estimate"] == pytest.approx(gap)
    assert claim["low"] < claim["estimate"] < claim["high"]
    assert claim["supported"] is (claim["low"] > 0)


def test_its_features_are_those_of_the_judged_fit(first_run: FinishedRun) -> None:
    """The served fit has a graph of the same name, which knows the eval period."""
    run = find_artifacts(first_run.project.out, first_run.folder.name)
    graph = Path(run.transform_graph)
    assert graph.relative_to(first_run.project.out).parts[:3] == (
        "artifacts",
        "Transform",
        "transform_graph",
    )
    assert (graph.parents[2] / "ServedTransform" / "transform_graph").is_dir()


def test_the_page_and_the_tables(first_run: FinishedRun, table3: Result) -> None:
    found, folder = results(first_run, "table3")
    assert sorted(p.name for p in folder.iterdir()) == ["report.html", "results.json", "results.md"]
    page = (folder / "report.html").read_text(encoding="utf-8")
    balanced(page)
    assert "src=" not in page
    assert "http" not in page.replace("http://www.w3.org/", "")
    text = (folder / "results.md").read_text()
    assert text in table3.output
    for shown in (page, text):
        for wanted in ("paper (other data)", "+4.08%", "+0.69%", "supported", "90% interval"):
            assert wanted in shown
        assert "With one seed the intervals say nothing of other seeds." in shown
    assert found["run_id"] == first_run.folder.name
    assert found["seeds"] == [1]
    assert found["data"]["splits"]["eval"]["examples"] == 12 * 1200


def test_nothing_is_trained_twice(first_run: FinishedRun, table3: Result) -> None:
    assert "3 of 3 trainings done" in table3.output
    kept = first_run.project.out / "experiments" / "trainings"
    before = {p: p.stat().st_mtime_ns for p in kept.glob("*/training.json")}
    found, _ = results(first_run, "table3")
    keys = [run["key"] for runs in found["trainings"].values() for run in runs]
    assert {kept / key / "training.json" for key in keys} <= set(before)
    again = experiment(first_run, "table3", "--seeds", "1", "--run-id", first_run.folder.name)
    assert "3 of 3 trainings done, 3 of them before" in again.output
    assert before == {p: p.stat().st_mtime_ns for p in kept.glob("*/training.json")}


@pytest.fixture(scope="module")
def frozen(first_run: FinishedRun, table3: Result) -> tuple[FrozenData, Log]:
    run = find_artifacts(first_run.project.out, first_run.folder.name)
    root = Path(run.config.input.root)
    log = Log(run.examples, run.config.data_contract, run.as_of, run.config.labelling, root)
    return open_run(first_run.project.out, first_run.folder.name, ()).data, log


def sides(folder: Path, split: str) -> np.ndarray:
    return np.load(folder / f"{split}.npy")


def test_the_same_settings_assign_the_same(frozen: tuple[FrozenData, Log]) -> None:
    data, log = frozen
    found = assigned(ByHistory(()), data, log)
    for split in ("train", "calibration", "eval"):
        hard = data.columns(split).hard
        assert np.array_equal(sides(found.folder, split), hard)
        assert found.facts["hard_share"][split] == pytest.approx(hard.mean())
    labelled = Path(data.record["labelled_columns"]).parents[1]
    (stability,) = labelled.glob("task_assignments/*/stability.json")
    assert found.facts["flips"] == json.loads(stability.read_text())["flips"]


def test_a_lower_alpha_makes_fewer_hard(frozen: tuple[FrozenData, Log]) -> None:
    data, log = frozen
    lower = assigned(ByHistory((("alpha", 0.01),)), data, log)
    for split in ("train", "eval"):
        assert 0 < sides(lower.folder, split).mean() < data.columns(split).hard.mean()


def test_categories_are_of_one_side(frozen: tuple[FrozenData, Log]) -> None:
    """The log's purchases are rare and its visits frequent."""
    data, log = frozen
    found = assigned(ByCategory(), data, log)
    goals = np.array(data.facts("eval")["setup_category"].to_pylist())
    assert np.array_equal(sides(found.folder, "eval"), goals == "purchase")
    with pytest.raises(InputError, match="no truth beside the log"):
        assigned(ByCategory(true=True), data, log)


def test_cached_columns_are_in_the_order_of_the_evaluators_table(
    first_run: FinishedRun, frozen: tuple[FrozenData, Log]
) -> None:
    data, _ = frozen
    file = find_predictions(first_run.project.out, first_run.folder)
    table, facts = pq.read_table(file), data.facts("eval")
    assert facts["setup_id"].to_pylist() == table["setup_id"].to_pylist()
    assert facts["click_time"].to_pylist() == table["click_time"].to_pylist()
    assert np.array_equal(data.columns("eval").label, table["label"].to_numpy())


def test_mistakes_are_one_line_each(first_run: FinishedRun) -> None:
    for arguments, message in (
        (("table9",), "seen 'table9', wanted one of table1, table2"),
        ((), "no name; wanted one of table1"),
        (("table3", "--set", "labelling.alpha=0.1"), "wanted a key of model, loss, training"),
        (("table3", "--set", "model.width=3"), "--set: model.width"),
        (("table3", "--run-id", "none"), "no finished run 'none'"),
        (("transfer",), "contract small has no advertiser role"),
        (("table3", "--dates", "2"), "table3 has no as-of days"),
        (("freshness", "--dates", "20"), "--dates 20, --days 7: of the as-of day "),
    ):
        done = experiment(first_run, *arguments)
        assert done.exit_code == 2, done.output
        assert message in done.output
        assert done.output.count("\n") == 1


def test_freshness_on_a_log_without_truth(first_run: FinishedRun) -> None:
    """Two weeks whose labels are mature, each after an as-of day of its own."""
    done = experiment(first_run, "freshness", "--seeds", "1", "--dates", "2")
    assert done.exit_code == 0, done.output
    assert "8 of 8 trainings done" in done.output
    found, folder = results(first_run, "freshness")
    last = FIRST + timedelta(days=DAYS - WINDOW - 7)
    days = [f"hard_after_{last - timedelta(days=7)}", f"hard_after_{last}"]
    sets = {one["name"]: one for one in found["sets"]}
    assert set(days) <= set(sets)
    assert sets["all"]["examples"] == 2 * 7 * CLICKS_A_DAY
    assert sets["hard"]["examples"] == sum(sets[day]["examples"] for day in days)
    # All setups run from the first day on.
    assert "hard_new" not in sets
    levels = sets["all"]["levels"]
    assert levels["refit, labels as observed"]["estimate"] < levels["refit, corrected"]["estimate"]
    assert levels["refit, corrected"]["estimate"] == pytest.approx(1, abs=0.15)
    assert "No truth is known of this log" in (folder / "results.md").read_text()


def test_the_list() -> None:
    done = CliRunner().invoke(main, ["experiment", "--list"])
    assert done.exit_code == 0
    assert [line.split()[0] for line in done.output.splitlines()][:3] == [
        "table1",
        "table2",
        "table3",
    ]


def test_the_best_settings_found_are_a_config(first_run: FinishedRun) -> None:
    arguments = ["tune", "--out", str(first_run.project.out), "--trials", "2"]
    done = CliRunner().invoke(main, [*arguments, "--knob", "loss.weight_hard"])
    assert done.exit_code == 0, done.output
    assert "trial 2: loss.weight_hard=" in done.output
    file = Path(next(x for x in done.output.splitlines() if x.startswith("config")).split()[1])
    trials = json.loads((file.parent / "trials.json").read_text())["trials"]
    assert sorted(t["number"] for t in trials) == [1, 2]
    assert trials[0]["score"] <= trials[1]["score"]
    tuned = load_config(str(file))
    weight = trials[0]["values"]["loss.weight_hard"]
    assert (tuned.loss.weight_hard, tuned.loss.weight_soft) == pytest.approx((weight, 1 - weight))
    run = find_artifacts(first_run.project.out, first_run.folder.name).config
    assert tuned == run.model_copy(update={"loss": tuned.loss})
