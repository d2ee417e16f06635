"""The executor on real shards and SavedModels, checked against numpy and scikit-learn."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow_model_analysis as tfma
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score
from tfx.components.util import model_utils
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import Artifact, standard_artifacts

from components.evaluator.executor import Executor
from components.evaluator.settings import EvaluationSettings, GateSettings
from components.task_labeler.artifacts import TaskAssignments
from schemas.contract import Contract
from schemas.errors import InputError

from .conftest import Log, TinyModel, historical_cvr, probability, read_json

FITS = {
    "candidate": (0.9, -4.1),
    "one_task": (0.5, -2.0),
    "last_blessed": (0.8, -4.0),
    "logistic": (0.1, -3.0),
}


def predictions(log: Log) -> dict[str, np.ndarray]:
    """What every model answers, in numpy."""
    scores = {model: probability(log, *fit) for model, fit in FITS.items()}
    served = np.where(log.routed_to == "hard", scores["candidate"], scores["one_task"])
    return scores | {"historical_cvr": historical_cvr(log), "as_served": served}


@dataclass
class Run:
    """Artifacts of one execution."""

    evaluation: Artifact
    blessing: Artifact
    log_lines: list[str]

    def read(self, name: str) -> Any:
        return read_json(Path(self.evaluation.uri) / name)


def artifact(kind: type[Artifact], path: Path) -> Artifact:
    made = kind()
    made.uri = str(path)
    path.mkdir(parents=True, exist_ok=True)
    return made


def model(path: Path, slope: float, bias: float, price: str = "price") -> Artifact:
    TinyModel(slope, bias, price).save(path / "Format-Serving")
    return artifact(standard_artifacts.Model, path)


def execute(
    folder: Path,
    contract: Contract,
    shards: Path,
    last_blessed: Artifact | None,
    logistic: bool = True,
    **gate: Any,
) -> Run:
    examples = artifact(standard_artifacts.Examples, shards.parent)
    examples.split_names = '["train", "eval"]'
    assignments = artifact(TaskAssignments, folder / "assignments")
    (folder / "assignments" / "settings.json").write_text('{"assignment_id": "abc"}')
    inputs = {
        "examples": [examples],
        "model": [model(folder / "model", *FITS["candidate"])],
        "one_task": [model(folder / "one_task", *FITS["one_task"])],
        "task_assignments": [assignments],
    }
    if logistic:
        TinyModel(*FITS["logistic"]).save(folder / "model" / "reference")
    if last_blessed is not None:
        inputs["last_blessed"] = [last_blessed]
    evaluation = artifact(standard_artifacts.ModelEvaluation, folder / "evaluation")
    blessing = artifact(standard_artifacts.ModelBlessing, folder / "blessing")
    settings = EvaluationSettings(batch_size=512, resamples=200, min_examples=100)

    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("hardtower")
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        Executor(BaseBeamExecutor.Context(tmp_dir=str(folder / "tmp"), unique_id="1")).Do(
            inputs,
            {"evaluation": [evaluation], "blessing": [blessing]},
            {
                "contract": contract.model_dump_json(),
                "evaluation_settings": settings.model_dump_json(),
                "gate_settings": GateSettings(**gate).model_dump_json(),
                "code": "",
            },
        )
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    return Run(evaluation, blessing, lines)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, contract: Contract, shards: Path) -> Run:
    folder = tmp_path_factory.mktemp("run")
    last_blessed = model(folder / "last_blessed", *FITS["last_blessed"])
    last_blessed.set_string_custom_property("version", "7")
    return execute(folder, contract, shards, last_blessed, max_rig_loss=0.05)


@pytest.fixture(scope="module")
def run_after_a_contract_change(
    tmp_path_factory: pytest.TempPathFactory, contract: Contract, shards: Path
) -> Run:
    """The last blessed model reads a column that is gone; the floors are too high."""
    folder = tmp_path_factory.mktemp("changed")
    last_blessed = model(folder / "last_blessed", 1.0, -3.0, price="cost")
    last_blessed.set_string_custom_property("version", "7")
    return execute(folder, contract, shards, last_blessed, logistic=False, min_hard_auc=0.99)


def rows_of(log: Log, name: str) -> np.ndarray:
    """The rows of a slice by its name."""
    hard = log.task == "hard"
    columns = {
        "task": log.task,
        "setup_category": log.category,
        "cvr_bucket": np.where(hard, "low", "high"),
        "threshold_band": np.full(len(log), "outside"),
        "setup_history": np.where(log.setup == "a|buy", "new", "known"),
    }
    rows = np.full(len(log), True)
    for pair in [] if name == "all" else name.split("&"):
        column, value = pair.split("=")
        rows &= columns[column] == value
    return rows


def exact(label: np.ndarray, p: np.ndarray) -> dict[str, float | None]:
    """Every metric from its definition; none where it has no meaning."""
    found: dict[str, float | None] = {
        "example_count": len(label),
        "positive_count": label.sum(),
        "mean_label": label.mean(),
        "mean_prediction": p.mean(),
        "log_loss": log_loss(label, p, labels=[0, 1]),
        **dict.fromkeys(("rig", "auc", "auc_precision_recall", "calibration")),
    }
    if 0 < label.sum() < len(label):
        base = log_loss(label, np.full(len(label), label.mean()))
        found["rig"] = 1 - found["log_loss"] / base
        found["auc"] = roc_auc_score(label, p)
        found["auc_precision_recall"] = average_precision_score(label, p)
    if label.any():
        found["calibration"] = p.sum() / label.sum()
    return found


def test_every_metric_of_every_slice(run: Run, log: Log) -> None:
    records = run.read("metrics.json")
    names = {record["slice"] for record in records}
    assert names == {
        "all",
        *(f"task={t}" for t in ("hard", "soft")),
        "threshold_band=outside",
        *(f"setup_category={c}" for c in ("buy", "sub", "visit")),
        *(f"cvr_bucket={b}" for b in ("low", "high")),
        *(f"setup_history={h}" for h in ("new", "known")),
        *(f"task={t}&threshold_band=outside" for t in ("hard", "soft")),
        *(f"task=hard&setup_category={c}" for c in ("buy", "sub")),
        "task=soft&setup_category=visit",
        *("task=hard&cvr_bucket=low", "task=soft&cvr_bucket=high"),
        *(f"task=hard&setup_history={h}" for h in ("new", "known")),
        "task=soft&setup_history=known",
    }
    tolerance = {"auc": {"abs": 1e-3}, "auc_precision_recall": {"rel": 0.02}}
    seen = set()
    rows_by_name = {name: rows_of(log, name) for name in names}
    oracle = {
        (model, name): exact(log.label[rows], p[rows])
        for model, p in predictions(log).items()
        for name, rows in rows_by_name.items()
    }
    for record in records:
        rows = rows_by_name[record["slice"]]
        wanted = oracle[record["model"], record["slice"]][record["metric"]]
        near = tolerance.get(record["metric"], {"rel": 1e-4, "abs": 1e-6})
        wanted = None if wanted is None else pytest.approx(wanted, **near)
        assert record["value"] == wanted, record
        assert (record["examples"], record["positives"]) == (rows.sum(), log.label[rows].sum())
        seen.add((record["model"], record["slice"], record["metric"]))
    assert len(seen) == len(records) == 6 * len(names) * 9


def test_a_slice_without_conversions_has_null_metrics(run: Run) -> None:
    values = {
        r["metric"]: r["value"]
        for r in run.read("metrics.json")
        if (r["model"], r["slice"]) == ("candidate", "task=hard&setup_category=sub")
    }
    assert values["rig"] is values["auc"] is values["calibration"] is None
    assert values["mean_label"] == 0.0


def test_predictions_are_the_serving_graphs(run: Run, log: Log) -> None:
    table = pq.read_table(Path(run.evaluation.uri) / "predictions.parquet")
    assert table.column_names[:3] == ["setup_id", "click_time", "label"]
    assert table.column("setup_id").to_pylist() == log.setup.tolist()
    assert table.column("click_time").to_pylist() == [1_700_000_000 + i for i in range(len(log))]
    assert table.column("label").to_pylist() == log.label.tolist()
    assert table.column("task").to_pylist() == log.task.tolist()
    for name, wanted in predictions(log).items():
        p = table.column(f"p_{name}").to_numpy()
        np.testing.assert_allclose(p, wanted, rtol=1e-5)
    assert not (Path(run.evaluation.uri) / "predictions").exists()


def test_tfma_opens_the_result(run: Run) -> None:
    records = {
        (r["model"], r["metric"]): r["value"]
        for r in run.read("metrics.json")
        if r["slice"] == "task=hard"
    }
    for name in FITS:
        result = tfma.load_eval_result(run.evaluation.uri, model_name=name)
        folder = "model" if name == "candidate" else name
        place = "model/reference" if name == "logistic" else f"{folder}/Format-Serving"
        assert result.model_location.endswith(place)
        metrics = dict(result.slicing_metrics)[(("task", "hard"),)][""][""]
        assert metrics["rig"]["doubleValue"] == records[name, "rig"]
        if name == "candidate":
            change = records[name, "auc"] - records["last_blessed", "auc"]
            assert metrics["auc_diff"]["doubleValue"] == pytest.approx(change)


def test_comparisons(run: Run, log: Log) -> None:
    read = run.read("comparisons.json")
    found = {(c["other"], c["slice"], c["metric"]): c for c in read if c["model"] == "candidate"}
    hard = log.task == "hard"
    loss = {n: log_loss(log.label[hard], probability(log, *f)[hard]) for n, f in FITS.items()}
    one_task = found["one_task", "task=hard", "log_loss"]
    wanted = loss["candidate"] - loss["one_task"]
    assert one_task["estimate"] == pytest.approx(wanted, rel=1e-3)
    assert one_task["low"] < one_task["estimate"] < one_task["high"] < 0
    assert (one_task["setups"], one_task["resamples"]) == (12, 200)
    assert ("one_task", "task=hard", "auc") in found
    assert ("last_blessed", "task=hard&setup_category=buy", "rig") in found
    others = {other for other, where, _ in found if where == "task=hard"}
    assert others == {"one_task", "last_blessed", "logistic", "historical_cvr"}
    # Too few conversions, not hard, and not where the candidate serves.
    nowhere = {"task=hard&setup_category=sub", "task=soft", "all"}
    assert not nowhere & {where for _, where, _ in found}


def test_the_system_as_served_is_compared_with_one_task(run: Run, log: Log) -> None:
    read = run.read("comparisons.json")
    served = {c["metric"]: c for c in read if c["model"] == "as_served"}
    assert {(c["other"], c["slice"]) for c in served.values()} == {("one_task", "all")}
    p = predictions(log)
    for metric, score in (("log_loss", log_loss), ("auc", roc_auc_score)):
        wanted = score(log.label, p["as_served"]) - score(log.label, p["one_task"])
        assert served[metric]["estimate"] == pytest.approx(wanted, rel=1e-3)
        assert served[metric]["low"] < served[metric]["estimate"] < served[metric]["high"]
    assert served["rig"]["low"] > 0


def test_figures_that_decide_have_intervals(run: Run) -> None:
    bounded = [r for r in run.read("metrics.json") if r["low"] is not None]
    metrics = {"rig", "log_loss", "auc", "calibration"}
    hard = {"candidate", "one_task", "last_blessed", "logistic", "historical_cvr"}
    assert {(r["model"], r["slice"], r["metric"]) for r in bounded} == {
        *((m, "task=hard", metric) for m in hard for metric in metrics),
        *((m, "all", metric) for m in ("as_served", "one_task") for metric in metrics),
    }
    # A constant by setup ranks nothing within one: its interval may be a point's width.
    assert all(r["low"] <= r["value"] + 1e-3 and r["value"] - 1e-3 <= r["high"] for r in bounded)


def test_calibration_curves(run: Run, log: Log) -> None:
    curves = run.read("calibration.json")
    assert curves["slice"] == "task=hard"
    hard = log.task == "hard"
    p = predictions(log)
    assert set(curves["models"]) == set(p) - {"as_served"}
    for name in FITS:
        bins = curves["models"][name]
        assert len(bins) == 20
        assert sum(b["examples"] for b in bins) == hard.sum()
        assert sum(b["positives"] for b in bins) == log.label[hard].sum()
        total = sum(b["predicted"] * b["examples"] for b in bins)
        assert total == pytest.approx(p[name][hard].sum(), rel=1e-5)


def test_blessed_as_tfx_does(run: Run) -> None:
    verdict = run.read("verdict.json")
    assert verdict["blessed"] is True, verdict["summary"]
    assert verdict["baseline"] == "version 7"
    assert verdict["headline"].endswith(
        "conditions hold; on hard examples the candidate is better than the logistic regression "
        "and the historical CVR"
    )
    assert verdict["summary"].startswith(verdict["headline"])
    assert all(c["passed"] for c in verdict["conditions"])
    assert model_utils.is_model_blessed(run.blessing)
    assert [p.name for p in Path(run.blessing.uri).iterdir()] == ["BLESSED"]
    assert run.blessing.get_int_custom_property("blessed") == 1
    assert run.blessing.get_string_custom_property("baseline_model").endswith("last_blessed")
    assert run.evaluation.get_string_custom_property("assignment_id") == "abc"


def test_progress_is_logged(run: Run) -> None:
    assert "Evaluator: scored 4 models on 4,000 examples" in run.log_lines
    wanted = "Evaluator: candidate on hard examples: rig 0."
    assert any(line.startswith(wanted) for line in run.log_lines)
    assert any(s.startswith("Evaluator: as_served on all examples: rig 0.") for s in run.log_lines)
    assert run.log_lines[-1].startswith("Evaluator: blessed: all ")


def test_last_blessed_model_of_another_contract(run_after_a_contract_change: Run) -> None:
    run = run_after_a_contract_change
    verdict = run.read("verdict.json")
    assert verdict["baseline"] is None
    assert "version 7 does not take the current examples and is left out" in verdict["summary"]
    assert "it reads 'cost' as float32" in verdict["summary"]
    assert "no baseline to compare with" in verdict["summary"]
    assert any("it reads 'cost'" in line for line in run.log_lines)
    assert {r["model"] for r in run.read("metrics.json")} == {
        *("candidate", "one_task", "historical_cvr", "as_served")
    }
    schema = pq.read_schema(Path(run.evaluation.uri) / "predictions.parquet")
    assert "p_last_blessed" not in schema.names


def test_a_trainer_without_a_reference_is_said(run_after_a_contract_change: Run) -> None:
    run = run_after_a_contract_change
    assert "not compared with the logistic regression" in run.read("verdict.json")["summary"]
    assert any("no logistic regression beside the candidate" in line for line in run.log_lines)
    assert "logistic" not in {c["other"] for c in run.read("comparisons.json")}


def test_not_blessed_as_tfx_does(run_after_a_contract_change: Run) -> None:
    run = run_after_a_contract_change
    verdict = run.read("verdict.json")
    assert verdict["blessed"] is False
    assert [c["name"] for c in verdict["conditions"] if not c["passed"]] == ["hard_auc_floor"]
    assert not model_utils.is_model_blessed(run.blessing)
    assert [p.name for p in Path(run.blessing.uri).iterdir()] == ["NOT_BLESSED"]


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "examples" / "Split-eval"
    folder.mkdir(parents=True)
    return folder


def test_no_examples_is_one_line(tmp_path: Path, contract: Contract, empty: Path) -> None:
    with pytest.raises(InputError, match=r"split 'eval' at .* holds no examples"):
        execute(tmp_path, contract, empty, None)


def test_nothing_in_json_is_nan(run: Run) -> None:
    for name in ("metrics.json", "comparisons.json", "calibration.json", "verdict.json"):
        assert run.read(name)
    assert math.isfinite(run.read("metrics.json")[0]["value"])
