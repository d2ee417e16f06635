"""Tiny versions of a serving folder, made without and with TensorFlow."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from common.runs.info import RunInfo
from common.versions.digest import model_digest, write_sums
from common.versions.manifest import build_manifest
from service.models.bundle import BundleLoader, Models
from service.models.inputs import Columns, InputSchema
from service.models.scorer import checked

SCHEMA = InputSchema(text=("ad", "goal", "shop"), numbers=("price",))


class Constant:
    """A model that answers the number in its file, plus price / 1000 where there is one."""

    def __init__(self, model: Path) -> None:
        self.value = float((model / "saved_model.pb").read_text())

    def score(self, columns: Columns) -> npt.NDArray[np.float32]:
        n = columns.numbers.shape[1]
        return checked(self.value + np.nan_to_num(columns.numbers[0]) / 1000, n, "constant")


def open_constants(number: int, version: Path, schema: InputSchema) -> Models:
    return Models(Constant(version), Constant(version / "assets.extra" / "one_task"))


def make_loader(wanted: InputSchema | None = None) -> BundleLoader:
    return BundleLoader(open_constants, lambda model: SCHEMA, wanted)


@pytest.fixture
def loader() -> BundleLoader:
    """Loads versions whose models are constants of the features ad, goal, shop and price."""
    return make_loader()


def fill_version(
    folder: Path,
    version: int,
    hard: str = "0.25",
    one_task: str = "0.75",
    tasks: dict[str, str] | None = None,
    assignment_id: str = "a0",
    cold_start: str = "soft",
) -> None:
    """Writes what the Pusher writes, with text in the place of the SavedModels."""
    extra = folder / "assets.extra"
    (extra / "one_task").mkdir(parents=True)
    (folder / "saved_model.pb").write_text(hard)
    (extra / "one_task" / "saved_model.pb").write_text(one_task)
    tasks = tasks or {"a|buy": "hard", "a|visit": "soft"}
    rows = [
        {"setup_id": s, "task": t, "reason": "history", "historical_cvr": 0.001}
        for s, t in tasks.items()
    ]
    pq.write_table(pa.Table.from_pylist(rows), extra / "routing.parquet")
    settings: dict[str, Any] = {
        "assignment_id": assignment_id,
        "alpha": 0.01,
        "online_alpha": 0.009,
        "setup": ["shop", "goal"],
        "unknown_setups": [
            {"category": "buy", "advertiser_type": None, "task": "hard", "prior_cvr": 0.002},
            {"category": None, "advertiser_type": None, "task": cold_start},
        ],
    }
    (extra / "routing.json").write_text(json.dumps(settings))
    manifest = build_manifest(
        run=RunInfo(run_id="r", as_of="2026-02-01"),
        assignment=settings,
        splits={},
        metrics=[],
        verdict={"blessed": True},
        model_digest=model_digest(folder),
        one_task_digest=model_digest(extra / "one_task"),
        created=datetime(2026, 2, 1, tzinfo=UTC),
        version=version,
    )
    (extra / "manifest.json").write_text(manifest.model_dump_json())
    write_sums(folder)


@pytest.fixture
def fill() -> Callable[..., None]:
    return fill_version
