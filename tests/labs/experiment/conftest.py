"""A small frozen data set, made without any pipeline."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.trainer.settings import (
    CalibrationSettings,
    LossSettings,
    ModelSettings,
    TrainingSettings,
)
from labs.experiment.run import Ended, Plan, run_experiment
from labs.experiment.studies.arms import Settings
from labs.experiment.trainings.data import FrozenData
from labs.experiment.trainings.store import Store
from schemas.contract import Contract

CONTRACT = {
    "name": "tiny",
    "description": "three features",
    "input": {"format": "parquet", "pattern": "none"},
    "attribution_window_days": 3,
    "roles": {
        "timestamp": "time",
        "label": "converted",
        "setup": ["setup"],
        "advertiser": "owner",
        "conversion_category": "goal",
    },
    "features": {
        "of_setup": False,
        "categorical": [
            {"name": "site", "buckets": 6, "width": 2},
            {"name": "goal", "buckets": 2, "width": 2},
        ],
        "numeric": [{"name": "price"}],
    },
}
SPLIT_ROWS = {"train": 900, "calibration": 400, "eval": 500}


def write_data(folder: Path, seed: int = 0) -> FrozenData:
    """Twenty setups of five advertisers; the first ten are hard."""
    rng = np.random.default_rng(seed)
    contract = Contract.model_validate(CONTRACT)
    for number, (split, n) in enumerate(SPLIT_ROWS.items()):
        place = folder / split
        place.mkdir(parents=True)
        setup = rng.integers(0, 20, n)
        price = rng.standard_normal(n)
        hard = setup < 10
        probability = 1 / (1 + np.exp(-np.where(hard, -2.0, 0.0) - price))
        ids = np.stack([rng.integers(0, 6, n), rng.integers(0, 2, n)], axis=1)
        np.save(place / "ids.npy", ids.astype(np.int32))
        np.save(place / "nums.npy", np.stack([price, np.zeros(n)], 1).astype(np.float32))
        np.save(place / "label.npy", (rng.random(n) < probability).astype(np.float32))
        np.save(place / "hard.npy", hard)
        np.save(place / "cvr.npy", np.where(hard, 0.005, 0.02 + setup / 40).astype(np.float32))
        day = number * 30 + rng.integers(0, 30, n)
        facts = {
            "setup_id": pa.array([f"s{s}" for s in setup]).dictionary_encode(),
            "setup_category": pa.array([f"c{s % 4}" for s in setup]).dictionary_encode(),
            "advertiser": pa.array([f"a{s % 5}" for s in setup]).dictionary_encode(),
            "click_time": pa.array(day * 86_400),
            "label": pa.array(np.arange(n) % 2),
        }
        pq.write_table(pa.table(facts), place / "facts.parquet")
        if split == "eval":
            np.save(place / "truth.npy", probability)
    record = {"contract": contract.model_dump_json(), "assignment_id": "a" * 16}
    (folder / "data.json").write_text(json.dumps(record))
    return FrozenData(folder, f"key{seed}", record)


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> FrozenData:
    return write_data(tmp_path_factory.mktemp("frozen") / "data")


@pytest.fixture(scope="session")
def tiny_settings() -> Settings:
    return Settings(
        ModelSettings(cross_layers=1, hidden_units=(4,), shared_layers=1),
        LossSettings(),
        TrainingSettings(
            batch_size=128,
            epochs=1,
            gradient_examples=0,
            calibration=CalibrationSettings(method="none"),
        ),
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def ended(plan: Plan, store: Store) -> Ended:
    """A module's own `plan`, carried out."""
    return run_experiment(plan, store, lambda _: None, lambda _: None)
