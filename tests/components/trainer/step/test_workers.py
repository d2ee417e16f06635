"""Two workers in processes of their own, against one worker on the same batches.

The workers are started once, do all that `train_worker.py` lists, and find each other through
TF_CONFIG on the loopback interface.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from components.trainer.data.columns import Columns
from components.trainer.loop.loop import Splits, train
from components.trainer.settings import LossSettings, ModelSettings, Recipe, TrainingSettings
from components.transform.layout import FeatureLayout
from schemas.contract import Contract

Rows = list[dict[str, Any]]

ROOT = Path(__file__).parents[4]
MODEL = {"cross_layers": 1, "hidden_units": [8, 4], "shared_layers": 1, "embedding_l2": 10.0}
TRAINING = {
    "batch_size": 101,
    "evaluate_every": 1.0,
    "learning_rate": 0.01,
    "epochs": 2,
    "gradient_examples": 0,
    "checkpoint_every_seconds": None,
}
VARIANTS: dict[str, dict[str, Any]] = {
    "lazy": {
        "learning_rate": 0.1,
        "epochs": 20,
        "patience": 2,
        "gradient_examples": 64,
        "checkpoint_every_steps": 2,
    },
    "exact": {"lazy_adam": False},
}
TIMEOUT = 600


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


@pytest.fixture(scope="module")
def splits(clicks: Callable[..., Columns]) -> list[Columns]:
    return [clicks(600, seed=1, signal=1.0), clicks(300, seed=2, signal=1.0)]


@pytest.fixture(scope="module")
def folder(
    layout: FeatureLayout,
    splits: list[Columns],
    log_contract: Contract,
    log_rows: Rows,
    write_columns: Callable[[Path, Rows], Path],
    transform_graph_dir: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Where both workers have done everything; `chief` has the chief's output."""
    folder = tmp_path_factory.mktemp("workers")
    arrays = {
        f"{split}/{name}": values
        for split, columns in zip(("train", "calibration"), splits, strict=True)
        for name, values in columns.arrays.items()
    }
    np.savez(folder / "columns.npz", **arrays)
    files = [
        str(write_columns(folder / f"{name}.parquet", rows))
        for name, rows in (("train", log_rows[:90]), ("calibration", log_rows[90:]))
    ]
    job = {
        "layout": dataclasses.asdict(layout),
        "model": MODEL,
        "training": TRAINING,
        "variants": VARIANTS,
        "fn_args": {
            "base_model": None,
            "train_files": files[:1],
            "eval_files": files[1:],
            "transform_graph_path": transform_graph_dir,
            "custom_config": {
                "contract": log_contract.model_dump_json(),
                "model": MODEL,
                "loss": {},
                "training": TRAINING | {"epochs": 1},
            },
        },
    }
    (folder / "job.json").write_text(json.dumps(job))
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    cluster = {"chief": addresses[:1], "worker": addresses[1:]}
    processes = []
    for role in cluster:
        config = {"cluster": cluster, "task": {"type": role, "index": 0}}
        with open(folder / f"{role}.log", "w") as log:
            process = subprocess.Popen(
                [sys.executable, ROOT / "tests" / "support" / "train_worker.py", folder],
                env=os.environ
                | {"TF_CONFIG": json.dumps(config), "PYTHONPATH": str(ROOT)}
                | {"TF_CPP_MIN_LOG_LEVEL": "1", "PYTHONWARNINGS": "ignore"},
                stdout=log,
                stderr=log,
            )
        processes.append(process)
    try:
        codes = [process.wait(TIMEOUT) for process in processes]
    finally:
        for process in processes:
            process.kill()
    logs = [(folder / f"{role}.log").read_text()[-3000:] for role in cluster]
    assert codes == [0, -signal.SIGKILL], "\n".join(logs)
    return folder


def weights(folder: Path, role: str, name: str) -> dict[str, np.ndarray]:
    return dict(np.load(folder / role / f"{name}.npz"))


def summary(folder: Path, role: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / role / f"{name}.json").read_text())
    return found


@pytest.mark.parametrize("variant", VARIANTS)
def test_two_workers_train_as_one(
    folder: Path, layout: FeatureLayout, splits: list[Columns], variant: str
) -> None:
    alone = train(
        Splits(*splits, layout),
        Recipe(
            ModelSettings.model_validate(MODEL),
            LossSettings(),
            TrainingSettings.model_validate(TRAINING | VARIANTS[variant]),
        ),
    )
    chief, worker = (summary(folder, role, variant) for role in ("chief", "worker"))
    assert chief["kept_step"] == worker["kept_step"] == alone.kept_step
    assert len(chief["history"]) == len(worker["history"]) == len(alone.history)
    for found, wanted in zip(chief["history"], alone.history, strict=True):
        assert found.keys() == wanted.keys()
        for key in wanted.keys() - {"examples_per_second"}:
            assert found[key] == pytest.approx(wanted[key], rel=1e-4, abs=1e-5), key
    found, same = (weights(folder, role, variant) for role in ("chief", "worker"))
    for variable in alone.network.variables:
        np.testing.assert_array_equal(found[variable.name], same[variable.name])
        np.testing.assert_allclose(found[variable.name], variable.numpy(), rtol=1e-3, atol=2e-5)


def test_a_checkpoint_of_the_chief_resumes_both(folder: Path) -> None:
    for role in ("chief", "worker"):
        assert summary(folder, role, "resumed")["resumed_from"] == 4
        resumed, straight = (weights(folder, role, name) for name in ("resumed", "lazy"))
        for name, values in straight.items():
            np.testing.assert_allclose(resumed[name], values, rtol=1e-3, atol=2e-5)


def test_the_chief_alone_writes(folder: Path) -> None:
    assert (folder / "chief" / "run" / "history.json").exists()
    model = tf.saved_model.load(str(folder / "chief" / "model" / "Format-Serving"))
    assert "serving_default" in model.signatures
    assert not list((folder / "worker").rglob("history.json"))
    assert not list((folder / "worker").rglob("events.out.tfevents.*"))
    assert not list((folder / "worker").rglob("saved_model.pb"))


def test_the_log_says_who_is_who(folder: Path) -> None:
    for rank, role in enumerate(("chief", "worker")):
        log = (folder / f"{role}.log").read_text()
        assert (
            f"MultiWorkerMirroredStrategy on 2 workers (TF_CONFIG), this one of rank {rank} ({role}"
        ) in log
    assert "waiting for the chief to export" in (folder / "worker.log").read_text()


def test_a_killed_worker_ends_the_other_with_a_reason(folder: Path) -> None:
    message = (folder / "chief" / "left_alone").read_text()
    assert message.startswith("another worker of the cluster is gone: ")
    assert "/task:1" in message
    assert "go on from the last checkpoint" in message
