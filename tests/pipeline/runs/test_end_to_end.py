"""One run of the whole pipeline, looked at from all sides."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from small_log import CLICKS_A_DAY, CONFIG, CONTRACT, DAYS, FinishedRun, Project, contents

from common.versions.reference import JUDGED_FIT
from pipeline.runs.history import local_runs
from pipeline.runs.record import read_record

pytestmark = pytest.mark.tfx

SERVE = """
import json, sys
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
def feature(v):
    if isinstance(v, str):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[v.encode()]))
    return tf.train.Feature(float_list=tf.train.FloatList(value=[v]))
rows = json.loads(sys.argv[2])
records = [
    tf.train.Example(
        features=tf.train.Features(feature={k: feature(v) for k, v in row.items()})
    ).SerializeToString()
    for row in rows
]
served = model.signatures["serving_default"](examples=tf.constant(records))["probability"]
names = rows[0].keys()
raw = model.signatures["raw"](**{k: tf.constant([row[k] for row in rows]) for k in names})
print(json.dumps([served.numpy().tolist(), raw["probability"].numpy().tolist()]))
"""


def versions(project: Project) -> list[Path]:
    return sorted(p for p in (project.out / "serving").iterdir() if p.name.isdigit())


def test_the_verdict_and_the_places_are_printed(first_run: FinishedRun) -> None:
    text = first_run.output
    assert "BLESSED" in text
    assert "NOT BLESSED" not in text
    assert "no baseline" in text
    assert str(first_run.folder / "report.html") in text
    assert "routing.parquet" in text
    for column in ("examples", "as served", "historical CVR", "AUC", "RIG", "calibration"):
        assert column in text


def test_every_stage_is_announced(first_run: FinishedRun) -> None:
    for stage in ("ClickLogGen", "TaskLabeler", "Transform", "Trainer", "HardTowerEvaluator"):
        assert stage in first_run.output
    assert "[ 1/16]" in first_run.output
    assert "Traceback" not in first_run.output


def test_metrics_are_records_of_real_counts(first_run: FinishedRun) -> None:
    records = first_run.project.json(first_run.folder, "metrics.json")
    assert all(
        set(r) == {"model", "slice", "metric", "value", "low", "high", "examples", "positives"}
        for r in records
    )
    assert (first_run.project.out / "index.html").is_file()
    found = {(r["model"], r["slice"], r["metric"]): r for r in records}
    eval_days = CONFIG["splits"]["eval_days"]
    whole = found["candidate", "all", "auc"]
    assert whole["examples"] == eval_days * CLICKS_A_DAY
    hard = found["candidate", "task=hard", "auc"]
    # Intent alone orders hard clicks better than chance by a wide margin.
    assert hard["value"] > 0.65
    assert found["one_task", "task=hard", "auc"]["examples"] == hard["examples"]


def test_the_hard_task_is_the_rare_goal(first_run: FinishedRun) -> None:
    version = versions(first_run.project)[0]
    routing = pq.read_table(version / "assets.extra/routing.parquet").to_pylist()
    by_goal = {"purchase": set(), "visit": set()}
    for row in routing:
        by_goal[row["setup_id"].rpartition("|")[2]].add(row["task"])
    assert by_goal["visit"] == {"soft"}
    assert "hard" in by_goal["purchase"]


def test_the_model_serves_in_another_process(first_run: FinishedRun) -> None:
    row: dict[str, Any] = {
        "campaign": "c1",
        "goal": "purchase",
        "device": "d1",
        "user": "u5",
        "recency": 3.0,
        "intent": 0.0,
    }
    rows = [row, row | {"intent": 3.0}, row | {"campaign": "never seen", "user": ""}]
    version = versions(first_run.project)[0]
    done = subprocess.run(
        [sys.executable, "-c", SERVE, str(version), json.dumps(rows)],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
        env={"PATH": "/usr/bin:/bin"},
    )
    served, raw = json.loads(done.stdout.splitlines()[-1])
    assert served == pytest.approx(raw, abs=1e-7)
    assert all(0 < p < 1 for p in served)
    assert served[1] > served[0]


@pytest.mark.parametrize(("node", "place"), [("ServedTrainer", ""), ("Trainer", JUDGED_FIT)])
def test_the_refit_serves_and_the_judged_fit_lies_beside_it(
    first_run: FinishedRun, node: str, place: str
) -> None:
    artifacts = first_run.project.out / "artifacts"
    model = next((artifacts / node / "model").iterdir()) / "Format-Serving"
    version = versions(first_run.project)[0] / place
    files = [p.relative_to(model) for p in model.rglob("*") if p.is_file()]
    assert files
    for name in files:
        if name.name != "fingerprint.pb":
            assert (version / name).read_bytes() == (model / name).read_bytes()


def test_the_served_fit_has_learned_from_yesterday(first_run: FinishedRun) -> None:
    """As of 2024-02-20, with a window of 5 days and an eval period of 12."""
    manifest = first_run.project.json(first_run.folder, "manifest.json")
    judged, served = manifest["judged_fit"], manifest["served_fit"]
    assert (judged["newest_trained_day"], judged["labels_as_of"]) == ("2024-01-29", "2024-02-03")
    assert (served["newest_trained_day"], served["labels_as_of"]) == ("2024-02-19", "2024-02-20")
    assert served["examples"] == (DAYS - CONFIG["splits"]["warmup_days"]) * CLICKS_A_DAY
    assert judged["model_digest"] != served["model_digest"] == manifest["model_digest"]
    push = next((first_run.project.out / "artifacts/HardTowerPusher/pushed").iterdir())
    checks = json.loads((push / "push.json").read_text())["checks"]
    assert [c["name"] for c in checks if c["passed"]] == [
        "level_hard",
        "level_all",
        "distance",
        "knowledge",
        "pruning",
    ]
    for fit in (
        "judged fit     clicks up to 2024-01-29, 22 days before the as-of day",
        "served fit     clicks up to 2024-02-19, 1 day before the as-of day",
    ):
        assert fit in first_run.output


def test_the_manifest_says_where_it_comes_from(first_run: FinishedRun) -> None:
    version = versions(first_run.project)[0]
    manifest = json.loads((version / "assets.extra/manifest.json").read_text())
    assert manifest["version"] == int(version.name)
    assert manifest["run_id"] == first_run.folder.name
    assert manifest["alpha"] == CONFIG["labelling"]["alpha"]
    assert manifest["data"]["as_of"] == CONFIG["as_of"]
    assert manifest["config"]["training"]["epochs"] == CONFIG["training"]["epochs"]
    assert manifest["code_version"].startswith("0.")
    assert (version / "assets.extra/tf_serving_warmup_requests").stat().st_size > 0
    assert (version / "assets.extra/train_statistics.pb").stat().st_size > 0


def test_the_report_stands_alone(first_run: FinishedRun) -> None:
    page = (first_run.folder / "report.html").read_text()
    assert page.count("<svg") >= 5
    assert 'src="http' not in page
    assert 'href="http' not in page
    assert first_run.folder.name in page


def test_the_folder_holds_what_is_promised(first_run: FinishedRun) -> None:
    names = {p.name for p in first_run.folder.iterdir()}
    assert {"report.html", "metrics.json", "manifest.json", "run.log"} <= names
    assert (first_run.project.out / "metadata.sqlite").is_file()


def test_a_second_run_reuses_what_has_not_changed(
    first_run: FinishedRun, second_run: FinishedRun
) -> None:
    lines = [line.strip() for line in second_run.output.splitlines()]
    reused = {
        lines[i].split()[-1]
        for i, line in enumerate(lines[:-1])
        if line.startswith("[") and "reused" in lines[i + 1]
    }
    stages = {
        "ClickLogGen",
        "TaskLabeler",
        "ContractSchema",
        "StatisticsGen",
        "ExampleValidator",
        "Transform",
        "Trainer",
        "OneTaskTrainer",
    }
    assert stages <= reused
    assert second_run.output.count("an earlier result of the same inputs is taken over") == 3
    assert len(versions(second_run.project)) == 1
    assert "already serves this model" in (second_run.folder / "report.html").read_text()


def test_a_second_run_compares_with_the_first(second_run: FinishedRun) -> None:
    records = second_run.project.json(second_run.folder, "metrics.json")
    found = {(r["model"], r["metric"]): r["value"] for r in records if r["slice"] == "task=hard"}
    assert found["last_blessed", "rig"] == pytest.approx(found["candidate", "rig"], abs=1e-9)
    assert "last blessed" in second_run.output


@pytest.fixture(scope="module")
def third_run(second_run: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """The same data again in a copy: warm starts, and a floor that no model reaches."""
    mine = Project(tmp_path_factory.mktemp("third"))
    shutil.copytree(second_run.project.folder, mine.folder, symlinks=True, dirs_exist_ok=True)
    mine.write()
    changes = ("training.warm_start=last_blessed", "training.epochs=1", "gate.min_hard_auc=0.999")
    options = [part for change in changes for part in ("--set", change)]
    done = mine.run("--run-id", "floor", "--require-blessing", *options)
    assert done.returncode == 3, done.stdout + done.stderr
    return FinishedRun(mine, mine.out / "runs" / "floor", done.stdout)


def test_an_unblessed_model_is_not_pushed(second_run: FinishedRun, third_run: FinishedRun) -> None:
    mine = third_run.project
    assert "NOT BLESSED" in third_run.output
    assert "task=hard" in third_run.output
    assert "auc" in third_run.output.lower()
    assert contents(mine.out / "serving") == contents(second_run.project.out / "serving")

    record = read_record(third_run.folder)
    assert record is not None
    assert (record.status, record.blessed, record.version) == ("succeeded", False, None)
    manifest = mine.json(third_run.folder, "manifest.json")
    assert (manifest["version"], manifest["verdict"]["blessed"]) == (None, False)
    assert manifest["served_fit"] is None
    assert third_run.output.count("skipped, the recipe was not blessed") == 3
    page = " ".join((third_run.folder / "report.html").read_text().split())
    assert "Not blessed: nothing was pushed" in page
    assert f"Version {versions(mine)[-1].name} served when this run began" in page
    assert "Setups that changed task: 0" in page
    [line] = [line for line in local_runs(mine.out) if line.run_id == "floor"]
    assert (line.state, line.verdict) == ("succeeded", "not blessed")
    assert "auc" in line.reason.lower()


def test_a_warm_start_goes_on_from_the_served_version(third_run: FinishedRun) -> None:
    """The same data again: both networks start from their own weights of the served version."""
    served = versions(third_run.project)[-1].name
    assert third_run.output.count(f"starts from version {served}") == 2
    artifacts = third_run.project.out / "artifacts"
    for node in ("Trainer", "OneTaskTrainer"):
        runs = (artifacts / node / "model_run").iterdir()
        cold, *_, warm = sorted(runs, key=lambda folder: int(folder.name))
        first, record = (json.loads((p / "history.json").read_text())[0] for p in (cold, warm))
        assert record["train_loss"] < first["train_loss"]
        training = json.loads((warm / "training.json").read_text())
        assert training["warm_start"] == {
            "warm": True,
            "version": served,
            "reason": None,
            "vocabulary_rows": {"goal": {"kept": 3, "new": 0}},
        }
    assert f"version {served}" in (third_run.folder / "report.html").read_text()
    assert not list((artifacts / "checkpoints").iterdir())


def test_a_run_killed_before_its_report_is_not_judged_against_itself(
    first_run: FinishedRun, tmp_path: Path
) -> None:
    """The first run has pushed and not reported: the next attempt has no baseline either."""
    mine = Project(tmp_path / "again")
    shutil.copytree(first_run.project.folder, mine.folder, symlinks=True)
    shutil.rmtree(mine.out / "runs")
    done = mine.run("--run-id", "second")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no baseline" in done.stdout
    records = mine.json(mine.out / "runs" / "second", "metrics.json")
    assert "last_blessed" not in {r["model"] for r in records}


def test_a_bad_label_stops_the_run_before_training(project: Project) -> None:
    days = sorted(project.folder.joinpath("clicks").resolve().iterdir())
    project.folder.joinpath("clicks").unlink()
    target = project.folder / "clicks"
    target.mkdir()
    for day in days[1:]:
        (target / day.name).symlink_to(day)
    table = pq.read_table(days[0])
    place = table.schema.get_field_index("converted")
    labels = table["converted"].to_pylist()
    labels[:100] = [7] * 100
    pq.write_table(table.set_column(place, "converted", [labels]), target / days[0].name)
    done = project.run()
    assert done.returncode == 2
    assert "Traceback" not in done.stderr + done.stdout
    message = done.stderr.strip().splitlines()[-1]
    for word in (days[0].name, "row 1", "column converted", "seen 7", "wanted 0 or 1"):
        assert word in message
    assert not (project.out / "serving").exists()


def test_as_of_hides_the_future(first_run: FinishedRun) -> None:
    """No example of the run is of a day whose labels were not mature by the as-of date."""
    manifest = first_run.project.json(first_run.folder, "manifest.json")
    last = date.fromisoformat(manifest["data"]["splits"]["eval"]["last_day"])
    as_of = date.fromisoformat(CONFIG["as_of"])
    assert (as_of - last).days == CONTRACT["attribution_window_days"] + 1
    assert CONFIG["window_days"] == DAYS
