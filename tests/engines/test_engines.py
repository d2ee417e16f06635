"""The labeller's two passes give the same outputs on every Beam runner."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from apache_beam.options.pipeline_options import PipelineOptions
from pyarrow import feather
from two_goals import CONTRACT

from common.clicks.tfrecords import ShardWriter, read_batches, shard_files
from common.days import to_day
from components.example_gen.encode import Encoder
from components.task_labeler.passes.clicks import ClickLog
from components.task_labeler.passes.label import SplitPlaces
from components.task_labeler.run import Folders, label_clicks
from components.task_labeler.settings import LabellingSettings, SplitSettings
from schemas.labelled import SPLITS

pytestmark = pytest.mark.engines

FIRST = date(2024, 3, 1)
DAYS, DAY, SHARDS = 40, 86_400, 4
PRISM = Path(__file__).parents[2] / ".tools" / "bin" / "prism"
RUNNERS = {
    "direct, worker processes": (
        "--runner=DirectRunner",
        "--direct_running_mode=multi_processing",
        "--direct_num_workers=2",
    ),
    "prism": ("--runner=PrismRunner", f"--prism_location={PRISM}", "--environment_type=LOOPBACK"),
}

READERS: dict[str, Callable[[Path], Any]] = {
    ".arrow": feather.read_table,
    ".json": lambda path: json.loads(path.read_text()),
    ".parquet": pq.read_table,
}
"""How each kind of file of the assignments is read."""


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """6,000 clicks of 60 setups; the goal `buy` converts 2 % of the time, `visit` 40 %."""
    folder = tmp_path_factory.mktemp("shards")
    rng = np.random.default_rng(11)
    for shard in range(SHARDS):
        n = 1500
        day = rng.integers(0, DAYS, n)
        goal = rng.choice(["buy", "visit"], n)
        y = rng.random(n) < np.where(goal == "buy", 0.02, 0.4)
        t = (to_day(FIRST) + day) * DAY + rng.integers(0, DAY, n)
        batch = pa.RecordBatch.from_pydict(
            {
                "t": t,
                "y": y.astype(np.int64),
                "ct": np.where(y, t + rng.integers(60, 5 * DAY - 60, n), -1),
                "shop": [f"s{i}" for i in rng.integers(0, 30, n)],
                "goal": goal,
            }
        )
        writer = ShardWriter(str(folder), shard, SHARDS)
        writer.write(Encoder().encode(batch))
        writer.close()
    return list(shard_files(str(folder)))


def label(shards: Sequence[str], folder: Path, flags: Sequence[str]) -> dict[str, Any]:
    """All that the labeller writes, in an order of its own making."""
    (folder / "assignments").mkdir()
    places = {s: SplitPlaces(f"{folder}/{s}", f"{folder}/columns/{s}") for s in SPLITS}
    identity = label_clicks(
        ClickLog(shards, CONTRACT, FIRST + timedelta(days=DAYS)),
        LabellingSettings(alpha=0.1, prior_clicks=20, min_clicks=10, min_dwell_days=2),
        SplitSettings(eval_days=8, calibration_days=4, warmup_days=2),
        Folders(places, str(folder / "assignments"), str(folder / "temp")),
        lambda: beam.Pipeline(options=PipelineOptions(list(flags))),
    )
    found: dict[str, Any] = {"id": identity}
    for split in SPLITS:
        files = shard_files(str(folder / split))
        records = [record for f in files for batch in read_batches(f) for record in batch]
        # Parsed, since protocol buffers write the entries of a map in any order.
        found[split] = [tf.train.Example.FromString(record) for record in records]
        columns = sorted((folder / "columns" / split).iterdir())
        found[f"{split} columns"] = pa.concat_tables([pq.read_table(path) for path in columns])
    for path in sorted((folder / "assignments").iterdir()):
        found[path.name] = READERS[path.suffix](path)
    return found


@pytest.fixture(scope="module")
def expected(shards: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return label(shards, tmp_path_factory.mktemp("direct"), ["--runner=DirectRunner"])


@pytest.mark.parametrize("runner", RUNNERS)
def test_same_outputs_as_the_direct_runner(
    runner: str, shards: list[str], expected: dict[str, Any], tmp_path: Path
) -> None:
    if runner == "prism" and not os.access(PRISM, os.X_OK):
        pytest.fail(f"{PRISM} is missing: run deploy/engines.sh")
    found = label(shards, tmp_path, RUNNERS[runner])
    assert found.keys() == expected.keys()
    assert sum(len(expected[split]) for split in SPLITS) > 3000
    for name, wanted in expected.items():
        same = found[name].equals(wanted) if isinstance(wanted, pa.Table) else found[name] == wanted
        assert same, name
