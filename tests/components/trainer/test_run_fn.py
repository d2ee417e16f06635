"""TFX's Trainer entry point on the hand-made log, without TFX."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from components.trainer.export.pruning import prove_pruning
from components.trainer.run_fn import run_fn
from schemas.contract import Contract
from schemas.errors import InputError

Rows = list[dict[str, Any]]
MODEL = {"cross_layers": 1, "hidden_units": [4], "shared_layers": 1}
WIDTH = (3 + 2 + 3) + 2 * 6
SHARED = 3 * (11 + 10007) + 2 * 3 + WIDTH * WIDTH + WIDTH
WIDE = 3 * (11 + 10007 + 3) + 2 * (2 * 6 + 1)
"""For each id a weight, one for newcomers, and what makes a click one."""
TOWER = WIDTH * 4 + 4 + 4 + 1 + WIDE


@pytest.fixture(scope="module")
def splits(
    log_rows: Rows,
    write_columns: Callable[[Path, Rows], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    folder = tmp_path_factory.mktemp("splits")
    write_columns(folder / "train" / "0.parquet", log_rows[:50])
    write_columns(folder / "train" / "1.parquet", log_rows[50:90])
    write_columns(folder / "calibration" / "0.parquet", log_rows[90:])
    return folder


@pytest.fixture
def fn_args(
    splits: Path, log_contract: Contract, transform_graph_dir: str, tmp_path: Path
) -> SimpleNamespace:
    return SimpleNamespace(
        train_files=[f"{splits}/train/*"],
        eval_files=[f"{splits}/calibration/*"],
        transform_graph_path=transform_graph_dir,
        serving_model_dir=str(tmp_path / "model" / "Format-Serving"),
        model_run_dir=str(tmp_path / "run"),
        base_model=None,
        custom_config={
            "contract": log_contract.model_dump_json(),
            "model": MODEL,
            "loss": {"weight_hard": 0.7, "weight_soft": 0.3},
            "training": {
                "batch_size": 32,
                "epochs": 2,
                "evaluate_every": 1.0,
                "learning_rate": 1e-5,
                "patience": None,
                "seed": 11,
                "checkpoint_every_steps": 2,
            },
            "checkpoints": str(tmp_path / "checkpoints"),
            "code": "a fingerprint",
        },
    )


def answer(directory: str, examples: list[bytes]) -> dict[str, tf.Tensor]:
    model = tf.saved_model.load(directory)
    found: dict[str, tf.Tensor] = model.signatures["serving_default"](
        examples=tf.constant(examples)
    )
    return found


@pytest.mark.parametrize(
    ("mode", "towers", "total_steps"),
    [
        ("two_tower", {"hard": TOWER, "soft": TOWER}, 6),
        ("one_task", {"all": TOWER}, 6),
        ("hard_only", {"hard": TOWER}, 4),
    ],
)
def test_it_trains_exports_and_records(
    mode: str,
    towers: dict[str, int],
    total_steps: int,
    fn_args: SimpleNamespace,
    log_rows: Rows,
    to_examples: Callable[[Rows], list[bytes]],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fn_args.custom_config["model"] = MODEL | {"mode": mode}
    with caplog.at_level(logging.INFO, logger="hardtower"):
        run_fn(fn_args)

    examples = to_examples(log_rows[90:])
    full_dir = str(tmp_path / "model" / "Format-Full")
    serving, full = answer(fn_args.serving_model_dir, examples), answer(full_dir, examples)
    np.testing.assert_allclose(serving["probability"], full["hard"], atol=1e-6)
    assert np.array_equal(full["hard"], full["soft"]) == (mode != "two_tower")
    proof = prove_pruning(fn_args.serving_model_dir, full_dir, examples)

    record = json.loads((tmp_path / "run" / "training.json").read_text())
    assert record["settings"]["model"]["mode"] == mode
    assert record["settings"]["loss"]["weight_hard"] == 0.7
    assert record["settings"]["training"]["epochs"] == 2
    assert record["seed"] == 11
    for split, rows in (("train", log_rows[:90]), ("calibration", log_rows[90:])):
        for task in ("hard", "soft"):
            labels = [row["converted"] for row in rows if row["task"] == task]
            assert record["examples"][split][task] == {
                "examples": len(labels),
                "positives": sum(labels),
                "base_rate": pytest.approx(sum(labels) / len(labels)),
            }
    assert record["parameters"] == {
        "shared": SHARED,
        **towers,
        "serving": SHARED + TOWER,
        "full": SHARED + sum(towers.values()),
    }
    assert record["parameters"]["serving"] == proof.serving.parameters
    assert record["parameters"]["full"] == proof.full.parameters
    assert set(record["seconds"]) == {
        "load train",
        "load calibration",
        "train",
        "calibrate",
        "reference",
        "export",
    }
    assert record["stopped_by"] == "epochs"
    assert record["resumed_from"] is None
    assert record["checkpoints"]["written"] == total_steps // 2
    assert record["checkpoints"]["failed"] == 0
    assert list((tmp_path / "checkpoints").iterdir()) == []
    assert record["warm_start"]["reason"] == "training.warm_start is off"

    history = json.loads((tmp_path / "run" / "history.json").read_text())
    assert [row["step"] for row in history] == [total_steps // 2, total_steps]
    assert record["kept_step"] in {row["step"] for row in history}
    assert list((tmp_path / "run").glob("events.out.tfevents.*"))

    lines = [entry.getMessage() for entry in caplog.records]
    hard = sum(row["task"] == "hard" for row in log_rows[:90])
    assert any(line.startswith(f"Trainer: train: {hard} hard examples (") for line in lines)
    looks = [line for line in lines if "epoch" in line and "step" in line and "/" in line]
    assert [line.split(", loss")[0] for line in looks] == [
        f"Trainer: epoch {i}/2, step {i * total_steps // 2}/{total_steps}" for i in (1, 2)
    ]
    best = min(row["calibration_log_loss_hard"] for row in history)
    assert any(line.endswith(f"hard log loss {best:.5f}") for line in looks)


def test_it_samples_and_calibrates(
    fn_args: SimpleNamespace,
    log_rows: Rows,
    to_examples: Callable[[Rows], list[bytes]],
    tmp_path: Path,
) -> None:
    """Isotonic calibration predicts as many conversions as it was fitted on; all from disk."""
    fn_args.custom_config["training"] |= {
        "input": "disk",
        "input_dir": str(tmp_path),
        "sampling": {"keep_negatives_hard": 0.5, "keep_negatives_soft": 0.3},
        "calibration": {"method": "isotonic", "min_conversions": 1},
    }
    run_fn(fn_args)
    record = json.loads((tmp_path / "run" / "training.json").read_text())
    for task, share in (("hard", 0.5), ("soft", 0.3)):
        read, kept = (record["examples"][part][task] for part in ("train", "trained_on"))
        assert kept["positives"] == read["positives"]
        negatives = read["examples"] - read["positives"]
        assert 0 < kept["examples"] - kept["positives"] < negatives * (share + 1) / 2

    hard = [row for row in log_rows[90:] if row["task"] == "hard"]
    conversions = sum(row["converted"] for row in hard)
    calibration = record["calibration"]
    assert calibration["method"] == "isotonic"
    assert (calibration["examples"], calibration["conversions"]) == (len(hard), conversions)
    assert calibration["after"]["ratio"] == pytest.approx(1)
    assert calibration["before"]["ratio"] != pytest.approx(1, abs=1e-3)
    found = answer(fn_args.serving_model_dir, to_examples(hard))["probability"]
    assert float(tf.reduce_sum(found)) == pytest.approx(conversions, rel=1e-5)


def test_a_calibration_without_conversions_is_refused_before_training(
    fn_args: SimpleNamespace,
    log_rows: Rows,
    write_columns: Callable[[Path, Rows], Path],
    tmp_path: Path,
) -> None:
    rows = [row | {"converted": 0} for row in log_rows[90:]]
    fn_args.eval_files = [str(write_columns(tmp_path / "none.parquet", rows))]
    fn_args.custom_config["training"] |= {"calibration": {"method": "platt"}, "epochs": 10_000}
    with pytest.raises(InputError, match="method platt: 0 of the 20 calibration examples"):
        run_fn(fn_args)


def test_a_split_without_files_is_named(fn_args: SimpleNamespace, tmp_path: Path) -> None:
    fn_args.eval_files = [f"{tmp_path}/Split-calibration/*"]
    with pytest.raises(InputError, match=r"Split-calibration/\*: no such files"):
        run_fn(fn_args)


def test_a_split_without_hard_examples_is_named(
    fn_args: SimpleNamespace,
    log_rows: Rows,
    write_columns: Callable[[Path, Rows], Path],
    tmp_path: Path,
) -> None:
    soft = [row for row in log_rows if row["task"] == "soft"]
    fn_args.eval_files = [str(write_columns(tmp_path / "soft.parquet", soft))]
    with pytest.raises(InputError, match="'calibration': none of its 40 examples is hard"):
        run_fn(fn_args)


def test_the_served_fit_learns_from_its_calibration_days_too(
    fn_args: SimpleNamespace,
    log_rows: Rows,
    write_columns: Callable[[Path, Rows], Path],
    tmp_path: Path,
) -> None:
    """Clicks an hour apart; the last two days up to the newest click have 36 of them."""
    start = 19_700 * 86_400
    rows = [row | {"clicked": start + i * 3600} for i, row in enumerate(log_rows[:108])]
    write_columns(tmp_path / "splits" / "train" / "0.parquet", rows[:60])
    write_columns(tmp_path / "splits" / "recent" / "0.parquet", rows[60:])
    fn_args.train_files = [f"{tmp_path}/splits/{name}/*" for name in ("train", "recent")]
    fn_args.eval_files = [f"{tmp_path}/splits/recent/*"]
    fn_args.custom_config |= {"fit": "served", "calibration_days": 2, "passes": 0.5}
    run_fn(fn_args)
    record = json.loads((tmp_path / "run" / "training.json").read_text())
    counted = {
        split: sum(of_task["examples"] for of_task in record["examples"][split].values())
        for split in ("train", "calibration")
    }
    assert counted == {"train": 108, "calibration": 36}
    conversions = sum(of["positives"] for of in record["examples"]["train"].values())
    assert conversions == sum(row["converted"] for row in rows)
    assert record["stopped_by"] == "passes"
    assert record["kept_passes"] == 0.5
    assert record["reference"] is None
    fn_args.custom_config |= {"fit": "judged", "passes": None}
    run_fn(fn_args)
    record = json.loads((tmp_path / "run" / "training.json").read_text())
    judged = sum(of["positives"] for of in record["examples"]["train"].values())
    assert judged == sum(row["judged_label"] for row in rows)
    assert record["reference"] is not None
