"""A hand-made labelled log, and the transform graph analyzed from it.

TensorFlow and Beam are imported by the fixtures that need them alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from schemas import labelled
from schemas.contract import Contract

Rows = list[dict[str, Any]]


@pytest.fixture(scope="session")
def log_contract() -> Contract:
    """Column names with a space, a dot and a dash; every kind of feature and numeric transform."""
    return Contract.model_validate(
        {
            "name": "handmade",
            "description": "A hand-made log.",
            "input": {"format": "tfrecord", "pattern": "none"},
            "attribution_window_days": 3,
            "roles": {
                "timestamp": "clicked",
                "label": "converted",
                "setup": ["advertiser", "goal"],
                "conversion_timestamp": "converted at",
                "advertiser": "advertiser",
                "conversion_category": "goal",
                "spend": "cost",
            },
            "features": {
                "of_setup": False,
                "categorical": [
                    {"name": "advertiser", "buckets": 11, "width": 3},
                    {"name": "user type", "vocabulary": 2, "width": 2},
                    {"name": "c-1.x", "buckets": 10007, "width": 3},
                ],
                "numeric": [
                    {"name": "price"},
                    {"name": "seen", "transform": "log1p"},
                    {"name": "age", "transform": "identity"},
                    {"name": "flat"},
                    {"name": "flat log", "transform": "log1p"},
                    {"name": "never"},
                ],
            },
        }
    )


@pytest.fixture(scope="session")
def log_rows() -> Rows:
    """120 labelled clicks; a missing feature has no key, and one price is infinite."""
    rng = np.random.default_rng(5)
    rows = []
    for i in range(120):
        row: dict[str, Any] = {
            "clicked": 1_700_000_000 + i,
            "converted": int(i % 7 == 0),
            "converted at": 1_700_000_100 + i if i % 7 == 0 else -1,
            "advertiser": f"advertiser {i % 4}",
            "goal": "buy" if i % 3 else "visit",
            "cost": 0.5,
            "user type": (("web",) * 3 + ("app",) * 2 + ("tablet", None))[i % 7],
            "c-1.x": f"é{i % 13}" if i % 5 else None,
            "price": float(np.float32(rng.normal(1e4, 3.0))) if i % 6 else None,
            "seen": float(np.float32(rng.normal(0, 100.0))),
            "age": float(20 + i % 50) if i % 4 else None,
            "flat": 0.1,
            "flat log": 7.3,
            "never": None,
            "setup_id": f"advertiser {i % 4}|buy",
            "task": "hard" if i % 3 else "soft",
            "historical_cvr": 0.01,
            "judged_label": int(i % 14 == 0),
            "judged_completeness": 0.5,
            "completeness": 0.75,
        }
        rows.append({name: value for name, value in row.items() if value is not None})
    rows[7]["price"] = math.inf
    return rows


@pytest.fixture(scope="session")
def to_examples() -> Callable[[Sequence[dict[str, Any]]], list[bytes]]:
    """Serializes rows: str as bytes, int as int64, float as float."""
    import tensorflow as tf

    def feature(value: str | int | float) -> tf.train.Feature:
        if isinstance(value, str):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()]))
        if isinstance(value, int):
            return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
        return tf.train.Feature(float_list=tf.train.FloatList(value=[value]))

    def serialize(rows: Sequence[dict[str, Any]]) -> list[bytes]:
        return [
            tf.train.Example(
                features=tf.train.Features(feature={k: feature(v) for k, v in row.items()})
            ).SerializeToString()
            for row in rows
        ]

    return serialize


@pytest.fixture(scope="session")
def write_columns(log_contract: Contract) -> Callable[[Path, Sequence[dict[str, Any]]], Path]:
    """Writes rows as Parquet of lists of one value, null where a row lacks the key."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    text, number, whole = pa.large_binary(), pa.float32(), pa.int64()
    kinds = dict.fromkeys(log_contract.string_columns, text)
    kinds |= dict.fromkeys(log_contract.float_columns, number)
    kinds |= dict.fromkeys(log_contract.int_columns, whole)
    kinds |= dict.fromkeys((*labelled.BYTES_FIELDS,), text)
    kinds |= dict.fromkeys((*labelled.FLOAT_FIELDS, "importance"), number)
    kinds |= dict.fromkeys(labelled.INT_FIELDS, whole)

    def value(it: str | int | float | None) -> list[bytes | int | float] | None:
        if it is None:
            return None
        return [it.encode() if isinstance(it, str) else it]

    def write(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        table = {
            name: pa.array([value(row.get(name)) for row in rows], pa.large_list(kind))
            for name, kind in kinds.items()
        }
        pq.write_table(pa.table(table), path)
        return path

    return write


@pytest.fixture(scope="session")
def write_records() -> Callable[[Path, Sequence[bytes]], Path]:
    """Writes records as a TFRecord file, gzipped where the name ends in .gz."""
    import tensorflow as tf

    def write(path: Path, records: Sequence[bytes]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tf.io.TFRecordWriter(str(path), "GZIP" if path.suffix == ".gz" else "") as writer:
            for record in records:
                writer.write(record)
        return path

    return write


@pytest.fixture(scope="session")
def analyze(
    tmp_path_factory: pytest.TempPathFactory,
    to_examples: Callable[[Sequence[dict[str, Any]]], list[bytes]],
    write_records: Callable[[Path, Sequence[bytes]], Path],
) -> Callable[[Contract, Rows], str]:
    """Runs tf.Transform on rows, read in batches of 7; returns the TransformGraph directory."""
    import apache_beam as beam
    import tensorflow_transform.beam as tft_beam
    from tfx_bsl.tfxio import tf_example_record

    from components.transform.preprocessing import preprocessing_fn
    from schemas.tfmd import feature_schema

    def run(contract: Contract, rows: Rows) -> str:
        folder = tmp_path_factory.mktemp("transform")
        file = write_records(folder / "examples.gz", to_examples(rows))
        tfxio = tf_example_record.TFExampleRecord(str(file), schema=feature_schema(contract))
        config = {"contract": contract.model_dump_json()}
        with beam.Pipeline() as p, tft_beam.Context(temp_dir=str(folder / "temp")):
            batches = p | tfxio.BeamSource(batch_size=7)
            transform_fn = (batches, tfxio.TensorAdapterConfig()) | tft_beam.AnalyzeDataset(
                lambda inputs: preprocessing_fn(inputs, config)
            )
            _ = transform_fn | tft_beam.WriteTransformFn(str(folder / "graph"))
        return str(folder / "graph")

    return run


@pytest.fixture(scope="session")
def transform_graph_dir(
    analyze: Callable[[Contract, Rows], str], log_contract: Contract, log_rows: Rows
) -> str:
    """The transform graph of the whole hand-made log."""
    return analyze(log_contract, log_rows)
