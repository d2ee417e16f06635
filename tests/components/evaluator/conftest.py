"""A labelled log of one evening, three tiny models, and the evaluator run on them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
import tensorflow as tf

from common.clicks.tfrecords import ShardWriter
from schemas.contract import Contract, parse_contract

CONTRACT = """
name: evening
description: a few thousand clicks
input: {format: parquet, pattern: "*.parquet"}
attribution_window_days: 7
roles:
  timestamp: clicked
  label: bought
  setup: [advertiser, goal]
  conversion_category: category
features:
  of_setup: false
  categorical: [{name: ad, buckets: 8}]
  numeric: [{name: price, transform: identity}]
"""

PLACES = [f"{chr(ord('a') + i)}|buy" for i in range(20)]


@dataclass(frozen=True)
class Log:
    """Columns [n] of the labelled log."""

    setup: npt.NDArray[np.str_]
    task: npt.NDArray[np.str_]
    category: npt.NDArray[np.str_]
    ad: npt.NDArray[np.str_]
    price: npt.NDArray[np.float32]
    label: npt.NDArray[np.int64]
    routed_to: npt.NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.label)


def probability(log: Log, slope: float, bias: float) -> npt.NDArray[np.float64]:
    """What a `TinyModel` answers, in numpy."""
    logit = slope * log.price.astype(np.float64) + bias + (log.ad == "x")
    return 1.0 / (1.0 + np.exp(-logit))


def historical_cvr(log: Log) -> npt.NDArray[np.float32]:
    """What the labeller would have written, [n]: hard ones from 2 %, soft ones 30 %."""
    number = np.array([PLACES.index(setup) for setup in log.setup])
    return np.where(log.task == "hard", 0.02 + number / 500, 0.3).astype(np.float32)


class TinyModel(tf.Module):
    """sigmoid(slope price + bias + 1 where ad is x), with both serving signatures."""

    def __init__(self, slope: float, bias: float, price: str = "price") -> None:
        super().__init__()
        self.slope = tf.Variable(slope, dtype=tf.float32)
        self.bias = tf.Variable(bias, dtype=tf.float32)
        self._price = price

    def save(self, path: Path) -> None:
        raw = {
            name: tf.TensorSpec([None], dtype, name=name)
            for name, dtype in (("ad", tf.string), (self._price, tf.float32))
        }

        @tf.function(input_signature=[raw])
        def from_raw(features: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            bonus = tf.cast(features["ad"] == b"x", tf.float32)
            logit = self.slope * features[self._price] + self.bias + bonus
            return {"probability": tf.sigmoid(logit)}

        spec = {
            "ad": tf.io.FixedLenFeature([], tf.string, b""),
            self._price: tf.io.FixedLenFeature([], tf.float32, float("nan")),
        }

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
        def from_examples(examples: tf.Tensor) -> dict[str, tf.Tensor]:
            return from_raw(tf.io.parse_example(examples, spec))

        self.functions = (from_raw, from_examples)
        signatures = {
            "serving_default": from_examples.get_concrete_function(),
            "raw": from_raw.get_concrete_function(),
        }
        tf.saved_model.save(self, str(path), signatures)


def serialize(log: Log, row: int) -> bytes:
    def text(value: str) -> tf.train.Feature:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()]))

    def integer(value: int) -> tf.train.Feature:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))

    hard = log.task[row] == "hard"
    features = {
        "clicked": integer(1_700_000_000 + row),
        "bought": integer(int(log.label[row])),
        "ad": text(log.ad[row]),
        "price": tf.train.Feature(float_list=tf.train.FloatList(value=[log.price[row]])),
        "setup_id": text(log.setup[row]),
        "task": text(log.task[row]),
        "routed_to": text(log.routed_to[row]),
        "historical_cvr": tf.train.Feature(
            float_list=tf.train.FloatList(value=[historical_cvr(log)[row]])
        ),
        "cvr_bucket": text("low" if hard else "high"),
        "threshold_band": text("outside"),
        "setup_history": text("new" if log.setup[row] == PLACES[0] else "known"),
        "setup_category": text(log.category[row]),
        "setup_advertiser_type": text(""),
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


@pytest.fixture(scope="session")
def contract() -> Contract:
    return parse_contract(CONTRACT)


@pytest.fixture(scope="session")
def log() -> Log:
    """4,000 clicks of 20 setups: the first twelve are hard, and only `buy` or `sub`."""
    generator = np.random.default_rng(11)
    count = 4000
    number = generator.integers(0, len(PLACES), count)
    hard = number < 12
    price = generator.normal(size=count).astype(np.float32)
    ad = generator.choice(["x", "y", "z"], count)
    logit = price - np.where(hard, 3.5, 1.0) + (ad == "x")
    label = generator.random(count) < 1.0 / (1.0 + np.exp(-logit))
    category = np.where(hard, np.where(number % 2 == 0, "buy", "sub"), "visit")
    # A part of the hard examples without a single conversion.
    label &= category != "sub"
    task = np.where(hard, "hard", "soft")
    # One hard setup lies between the two thresholds, and a soft one has no history yet.
    routed_to = np.select([number == 3, number == 15], ["soft", "fallback"], task)
    setup, labels = np.array(PLACES)[number], label.astype(np.int64)
    return Log(setup, task, category, ad, price, labels, routed_to)


@pytest.fixture(scope="session")
def shards(log: Log, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `Split-eval` folder: two shards of different length."""
    folder = tmp_path_factory.mktemp("examples") / "Split-eval"
    for shard, rows in enumerate((range(2500), range(2500, len(log)))):
        writer = ShardWriter(str(folder), shard, 2)
        writer.write([serialize(log, row) for row in rows])
        writer.close()
    return folder


@pytest.fixture
def table() -> pa.Table:
    """Six rows of a predictions table."""
    return pa.table(
        {
            "setup_id": ["s", "t", "s", "u", "t", "s"],
            "click_time": [1, 2, 3, 4, 5, 6],
            "label": pa.array([1, 0, 0, 1, 0, 0], pa.int8()),
            "task": ["hard", "soft", "hard", "hard", "soft", "hard"],
            "cvr_bucket": ["1", "2", "2", "1", "2", "1"],
            "p_candidate": pa.array([0.5, 0.1, 0.2, 0.4, 0.1, 0.3], pa.float32()),
            "p_one_task": pa.array([0.4, 0.2, 0.2, 0.3, 0.1, 0.3], pa.float32()),
        }
    )


def read_json(path: Path) -> object:
    """The file's contents; JSON's own rules, so that NaN is refused."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{path}: {constant} is not JSON")

    return json.loads(path.read_text(), parse_constant=refuse)
