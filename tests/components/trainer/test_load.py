"""`load_columns` against the transform graph applied file by file."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from components.trainer import load
from components.trainer.load import load_columns
from components.transform.graph import TransformGraph
from components.transform.raw import feature_spec
from schemas.contract import Contract
from schemas.errors import InputError

Rows = list[dict[str, Any]]
Write = Callable[[Path, Sequence[bytes]], Path]
ToExamples = Callable[[Rows], list[bytes]]


def test_columns_are_the_transformed_examples_by_file_and_record(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    log_contract: Contract,
    log_rows: Rows,
    transform_graph_dir: str,
    write_records: Write,
    to_examples: ToExamples,
) -> None:
    monkeypatch.setattr(load, "BATCH", 7)
    shards = {"b/1.gz": log_rows[40:100], "a/2.gz": log_rows[3:40], "a/1.gz": log_rows[:3]}
    shards |= {"b/plain": log_rows[100:], "b/0.gz": []}
    for name, rows in shards.items():
        write_records(tmp_path / name, to_examples(rows))

    read: list[int] = []
    columns = load_columns(
        [f"{tmp_path}/b/*", f"{tmp_path}/a/*"],
        transform_graph_dir,
        log_contract,
        progress=read.append,
    )

    raw = tf.io.parse_example(to_examples(log_rows), feature_spec(log_contract))
    ids, nums = TransformGraph(transform_graph_dir)(raw)
    np.testing.assert_array_equal(columns.ids, ids)
    np.testing.assert_array_equal(columns.nums, nums)
    assert columns.label.tolist() == [row["converted"] for row in log_rows]
    assert columns.hard.tolist() == [row["task"] == "hard" for row in log_rows]
    assert [a.dtype for a in (columns.ids, columns.nums, columns.label, columns.hard)] == [
        np.int32,
        np.float32,
        np.float32,
        np.bool_,
    ]
    assert read == sorted(read)
    assert read[-1] == len(log_rows)
    assert max(np.diff([0, *read])) <= 7


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"converted": 2}, "row 5: label 'converted' is 2; wanted 0 or 1"),
        ({"converted": -1}, "row 5: label 'converted' is -1; wanted 0 or 1"),
        ({"converted": None}, "row 5: label 'converted' is nothing; wanted 0 or 1"),
        ({"task": "warm"}, "row 5: 'task' is 'warm'; wanted 'hard' or 'soft'"),
        ({"task": None}, "row 5: 'task' is ''; wanted 'hard' or 'soft'"),
        ({"price": "dear"}, "unreadable example"),
    ],
)
def test_wrong_examples_are_named(
    change: dict[str, Any],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    log_contract: Contract,
    log_rows: Rows,
    transform_graph_dir: str,
    write_records: Write,
    to_examples: ToExamples,
) -> None:
    monkeypatch.setattr(load, "BATCH", 4)
    rows = [dict(row) for row in log_rows[:8]]
    rows[5] |= change
    rows[5] = {name: value for name, value in rows[5].items() if value is not None}
    file = write_records(tmp_path / "examples.gz", to_examples(rows))
    with pytest.raises(InputError) as error:
        load_columns([str(file)], transform_graph_dir, log_contract)
    assert message in str(error.value)
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_damaged_file_is_named(
    tmp_path: Path,
    log_contract: Contract,
    log_rows: Rows,
    transform_graph_dir: str,
    write_records: Write,
    to_examples: ToExamples,
) -> None:
    file = write_records(tmp_path / "examples", to_examples(log_rows))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"/examples: unreadable example"):
        load_columns([str(file)], transform_graph_dir, log_contract)


def test_no_files_is_an_error(
    tmp_path: Path, log_contract: Contract, transform_graph_dir: str
) -> None:
    with pytest.raises(InputError, match=r"none-\*: no such files; wanted labelled examples"):
        load_columns([f"{tmp_path}/none-*"], transform_graph_dir, log_contract)
