"""Tiny versions of a serving folder, made without and with TensorFlow."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
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
from service.models.bundle import Bundle, Models, OpenModels, load_bundle
from service.models.inputs import InputSchema, RawFeatures
from service.models.live import Loaded
from service.models.scorer import checked
from service.predictor import Predictor
from service.settings import ServeSettings
from service.workers.wire import Reply

SCHEMA = InputSchema(text=("ad", "goal", "shop"), numbers=("price",))


class Constant:
    """A model that answers the number in its file, plus price / 1000 where there is one."""

    def __init__(self, model: Path) -> None:
        self.value = float((model / "saved_model.pb").read_text())

    def score(self, columns: RawFeatures) -> npt.NDArray[np.float32]:
        n = columns.numbers.shape[1]
        return checked(self.value + np.nan_to_num(columns.numbers[0]) / 1000, n, "constant")


def open_constants(number: int, version: Path, schema: InputSchema) -> Models:
    return Models(Constant(version), Constant(version / "assets.extra" / "one_task"))


Load = Callable[[int, Path], Bundle]


def loader_of(
    open_models: OpenModels = open_constants,
    schema: InputSchema = SCHEMA,
    wanted: InputSchema | None = None,
) -> Load:
    return lambda number, version: load_bundle(
        number, version, open_models, lambda model: schema, wanted
    )


@pytest.fixture
def make_loader() -> Callable[..., Load]:
    """Makes loaders of versions; by default their models are constants of the features ad, goal,
    shop and price."""
    return loader_of


@pytest.fixture
def loader() -> Load:
    """As `make_loader` makes it by default."""
    return loader_of()


class Threads:
    """A version that answers in threads of this process instead of processes of its own."""

    def __init__(self, settings: ServeSettings, number: int, bundle: Bundle) -> None:
        self.assignment_id = bundle.table.assignment_id
        self.schema = bundle.schema
        self._predictor = Predictor(settings, Loaded(number, bundle))
        self._pool = ThreadPoolExecutor(settings.workers)
        self.whole = True

    def retire(self) -> None:
        self._pool.shutdown(wait=False)

    async def ask(self, body: Sequence[bytes], kind: int) -> Reply:
        whole = b"".join(body)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._predictor.predict, whole, kind)


@pytest.fixture
def threads() -> type[Threads]:
    return Threads


def fill_version(
    folder: Path,
    version: int,
    hard: str = "0.25",
    one_task: str = "0.75",
    tasks: dict[str, str] | None = None,
    assignment_id: str = "a0",
    cold_start: str = "soft",
    setup: Sequence[str] = ("shop", "goal"),
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
        "setup": list(setup),
        "category": "goal",
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


def save(path: Path, slope: float, text: str = "the shop") -> None:
    """sigmoid(slope x price, 1 more where the shop is b"é" and 0 where the price is missing)."""
    import tensorflow as tf

    module = tf.Module()
    module.slope = tf.Variable(slope)

    @tf.function(
        input_signature=[
            {
                "price": tf.TensorSpec([None], tf.float32, name="price"),
                text: tf.TensorSpec([None], tf.string, name=text.replace(" ", "_")),
            }
        ]
    )
    def raw(features: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        price = tf.where(tf.math.is_nan(features["price"]), 0.0, features["price"])
        bonus = tf.cast(features[text] == "é".encode(), tf.float32)
        return {"probability": tf.sigmoid(price * module.slope + bonus)}

    module.raw = raw
    tf.saved_model.save(module, str(path), {"raw": raw.get_concrete_function()})


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """SavedModels `hard` and `one_task` of slopes 0.5 and -2."""
    root = tmp_path_factory.mktemp("models")
    for name, slope in {"hard": 0.5, "one_task": -2.0}.items():
        save(root / name, slope)
    return {name: root / name for name in ("hard", "one_task")}


def fill_models(folder: Path, version: int, models: Mapping[str, Path], **changes: Any) -> None:
    """As `fill_version`, with SavedModels `hard` and `one_task` instead of text."""
    fill_version(folder, version, **changes)
    places = {"hard": folder, "one_task": folder / "assets.extra" / "one_task"}
    digests = {}
    for name, place in places.items():
        (place / "saved_model.pb").unlink()
        shutil.copytree(models[name], place, dirs_exist_ok=True)
        digests[name] = model_digest(place)
    file = folder / "assets.extra" / "manifest.json"
    manifest = json.loads(file.read_text())
    manifest |= {"model_digest": digests["hard"], "one_task_digest": digests["one_task"]}
    file.write_text(json.dumps(manifest))


@pytest.fixture(scope="session")
def fill_saved(saved: dict[str, Path]) -> Callable[..., None]:
    return partial(fill_models, models=saved)


@pytest.fixture(scope="session")
def save_model() -> Callable[..., None]:
    return save
