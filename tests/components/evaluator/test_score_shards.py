"""Shards to predictions table: order, batches, missing values and faults."""

from __future__ import annotations

from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from common.clicks.tfrecords import ShardWriter, shard_files
from components.evaluator.scores import score_shards as predict
from components.evaluator.scores.score_shards import ScoreShards, merge_parts
from components.evaluator.scores.table import evaluated, table_schema
from schemas.contract import Contract, parse_contract
from schemas.errors import InputError

from .conftest import CONTRACT, Log, TinyModel, probability, serialize


def score(
    shards: Path, out: Path, contract: Contract, columns: tuple[str, ...], batch_size: int = 64
) -> pa.Table:
    TinyModel(1.0, -3.0).save(out / "model")
    TinyModel(1.0, -1.0).save(out / "one_task")
    parts = out / "parts"
    parts.mkdir()
    files = shard_files(str(shards))
    with beam.Pipeline() as pipeline:
        models = {"candidate": str(out / "model"), "one_task": str(out / "one_task")}
        _ = pipeline | ScoreShards(files, models, contract, columns, str(parts), batch_size)
    return merge_parts(str(parts), len(files), str(out / "predictions.parquet"))


def write(folder: Path, *shards: list[bytes]) -> Path:
    for number, records in enumerate(shards):
        writer = ShardWriter(str(folder), number, len(shards))
        writer.write(records)
        writer.close()
    return folder


def without(record: bytes, feature: str) -> bytes:
    example = tf.train.Example.FromString(record)
    del example.features.feature[feature]
    return example.SerializeToString()


def test_batches_do_not_show(
    tmp_path: Path, contract: Contract, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows keep the order of the shards, whatever is read, scored and emitted at once."""
    monkeypatch.setattr(predict, "ROWS", 100)
    records = [serialize(log, row) for row in range(400)]
    shards = write(tmp_path / "shards", records[:250], records[250:])
    table = score(shards, tmp_path, contract, ("task", "setup_category"), batch_size=33)
    assert table.schema == table_schema(
        ("task", "setup_category"), evaluated(["candidate", "one_task"])
    )
    assert table.column("setup_id").to_pylist() == log.setup[:400].tolist()
    assert table.column("setup_category").to_pylist() == log.category[:400].tolist()
    np.testing.assert_allclose(
        table.column("p_candidate").to_numpy(), probability(log, 1.0, -3.0)[:400], rtol=1e-5
    )


def test_slices_by_columns_of_the_log(tmp_path: Path, contract: Contract, log: Log) -> None:
    """A string column may be null or no UTF-8; the setup itself may be a slice."""
    odd = tf.train.Example.FromString(serialize(log, 2))
    odd.features.feature["ad"].bytes_list.value[0] = b"\xffx"
    records = [serialize(log, 0), without(serialize(log, 1), "ad"), odd.SerializeToString()]
    shards = write(tmp_path / "shards", records)
    table = score(shards, tmp_path, contract, ("setup_id", "task", "ad"))
    assert table.column("ad").to_pylist() == [log.ad[0], "", "\\xffx"]
    assert table.column_names.count("setup_id") == 1


@pytest.mark.parametrize("feature", ["task", "bought", "setup_id", "historical_cvr", "routed_to"])
def test_unlabelled_examples_are_named(
    tmp_path: Path, contract: Contract, log: Log, feature: str
) -> None:
    shards = write(tmp_path / "shards", [without(serialize(log, 0), feature)])
    with pytest.raises(InputError, match=rf"00000-of-00001\.gz: not labelled examples.*{feature}"):
        score(shards, tmp_path, contract, ("task",))


def test_a_label_of_another_type_is_named(tmp_path: Path, log: Log) -> None:
    retyped = parse_contract(CONTRACT.replace("label: bought", "label: price2"))
    shards = write(tmp_path / "shards", [serialize(log, 0)])
    with pytest.raises(InputError, match="price2"):
        score(shards, tmp_path, retyped, ("task",))
