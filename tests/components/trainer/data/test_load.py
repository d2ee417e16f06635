"""`load_columns` against the transform graph applied file by file."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from components.trainer.data import load
from components.trainer.data.columns import ARRAYS, Columns
from components.trainer.data.load import load_columns
from components.trainer.data.storage import MEMORY, Disk
from components.trainer.settings import TrainingSettings
from components.transform.graph import TransformGraph, feature_spec
from components.transform.layout import FeatureLayout
from schemas.contract import Contract
from schemas.errors import InputError

Rows = list[dict[str, Any]]
Write = Callable[[Path, Rows], Path]
ToExamples = Callable[[Rows], list[bytes]]


def test_columns_are_the_transformed_examples_by_file_and_record(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    log_contract: Contract,
    log_rows: Rows,
    transform_graph_dir: str,
    write_columns: Write,
    to_examples: ToExamples,
) -> None:
    monkeypatch.setattr(load, "BATCH", 7)
    shards = {"b/1": log_rows[40:100], "a/2": log_rows[3:40], "a/1": log_rows[:3]}
    shards |= {"b/2": log_rows[100:]}
    for name, rows in shards.items():
        write_columns(tmp_path / name, rows)

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
    arrays = (columns.ids, columns.nums, columns.label, columns.hard, columns.cvr)
    assert [a.dtype for a in arrays] == [np.int32, np.float32, np.float32, np.bool_, np.float32]
    assert columns.weight is None
    assert read == [3, 40, 100, 120]


def weighted(contract: Contract) -> Contract:
    form = contract.model_dump()
    form["roles"]["weight"] = "importance"
    return Contract.model_validate(form)


def test_historical_cvr_and_weights_are_read(
    tmp_path: Path,
    log_contract: Contract,
    log_rows: Rows,
    transform_graph_dir: str,
    write_columns: Write,
) -> None:
    rows = [
        row | {"historical_cvr": i / 300, "importance": i / 4} for i, row in enumerate(log_rows)
    ]
    for name, part in (("1", rows[:50]), ("2", rows[50:])):
        write_columns(tmp_path / name, part)
    columns = load_columns([f"{tmp_path}/*"], transform_graph_dir, weighted(log_contract))
    number = np.arange(len(rows))
    np.testing.assert_array_equal(columns.cvr, (number / 300).astype(np.float32))
    assert columns.weight is not None
    assert columns.weight.dtype == np.float32
    np.testing.assert_array_equal(columns.weight, number / 4)
    unweighted = load_columns([f"{tmp_path}/*"], transform_graph_dir, log_contract)
    np.testing.assert_array_equal(unweighted.ids, columns.ids)
    assert unweighted.weight is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"historical_cvr": None}, "'historical_cvr' is nothing; wanted a number from 0 to 1"),
        ({"historical_cvr": 1.25}, "'historical_cvr' is 1.25; wanted a number from 0 to 1"),
        ({"importance": None}, "weight 'importance' is nothing; wanted a finite number of 0 or"),
        ({"importance": -0.5}, "weight 'importance' is -0.5; wanted a finite number of 0 or more"),
        ({"importance": np.inf}, "weight 'importance' is inf; wanted a finite number of 0 or more"),
    ],
)
def test_wrong_cvr_and_weights_are_named(
    change: dict[str, Any],
    message: str,
    tmp_path: Path,
    log_contract: Contract,
    log_rows: Rows,
    transform_graph_dir: str,
    write_columns: Write,
) -> None:
    rows = [row | {"importance": 1.0} for row in log_rows[:8]]
    rows[5] = {k: v for k, v in (rows[5] | change).items() if v is not None}
    file = write_columns(tmp_path / "examples", rows)
    with pytest.raises(InputError) as error:
        load_columns([str(file)], transform_graph_dir, weighted(log_contract))
    assert str(error.value).startswith(f"{file}: row 5: {message}")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"converted": 2}, "row 5: label 'converted' is 2; wanted 0 or 1"),
        ({"converted": -1}, "row 5: label 'converted' is -1; wanted 0 or 1"),
        ({"converted": None}, "row 5: label 'converted' is nothing; wanted 0 or 1"),
        ({"task": "warm"}, "row 5: 'task' is 'warm'; wanted 'hard' or 'soft'"),
        ({"task": None}, "row 5: 'task' is ''; wanted 'hard' or 'soft'"),
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
    write_columns: Write,
) -> None:
    monkeypatch.setattr(load, "BATCH", 4)
    rows = [dict(row) for row in log_rows[:8]]
    rows[5] |= change
    rows[5] = {name: value for name, value in rows[5].items() if value is not None}
    file = write_columns(tmp_path / "examples", rows)
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
    write_columns: Write,
) -> None:
    file = write_columns(tmp_path / "examples", log_rows)
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"/examples: unreadable columns"):
        load_columns([str(file)], transform_graph_dir, log_contract)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (None, "no column 'price'; wanted the contract's features"),
        (pa.array([[b"dear"]] * 120), "unreadable columns: .*dear"),
    ],
)
def test_wrong_columns_are_named(
    column: pa.Array | None,
    message: str,
    tmp_path: Path,
    log_contract: Contract,
    log_rows: Rows,
    transform_graph_dir: str,
    write_columns: Write,
) -> None:
    file = write_columns(tmp_path / "examples", log_rows)
    table = pq.read_table(file)
    rest = table.drop(["price"])
    pq.write_table(rest if column is None else rest.append_column("price", column), file)
    with pytest.raises(InputError, match=message):
        load_columns([str(file)], transform_graph_dir, log_contract)


def test_no_files_is_an_error(
    tmp_path: Path, log_contract: Contract, transform_graph_dir: str
) -> None:
    with pytest.raises(InputError, match=r"none-\*: no such files; wanted labelled columns"):
        load_columns([f"{tmp_path}/none-*"], transform_graph_dir, log_contract)


def test_the_last_days_are_those_up_to_the_newest_click(
    tmp_path: Path,
    log_contract: Contract,
    log_rows: Rows,
    transform_graph_dir: str,
    write_columns: Write,
) -> None:
    """A click an hour; the newest one is of the fifth day at 23:00, in the first of two splits."""
    hour, day = 3600, 86_400
    start = 19_700 * day
    rows = [row | {"clicked": start + i * hour} for i, row in enumerate(log_rows)]
    write_columns(tmp_path / "recent" / "0", rows[60:])
    write_columns(tmp_path / "eval" / "0", rows[:30])
    write_columns(tmp_path / "eval" / "1", rows[30:60])
    patterns = [f"{tmp_path}/recent/*", f"{tmp_path}/eval/*"]
    assert load.last_days(patterns, log_contract, 1) == start + 4 * day
    since = load.last_days(patterns, log_contract, 4)
    chosen = {"fit": "served", "since": since, "in_turn": True}
    late = load_columns(patterns, transform_graph_dir, log_contract, **chosen)
    wanted = [*range(60, 120), *range(24, 60)]
    assert late.label.tolist() == [rows[i]["converted"] for i in wanted]
    assert late.completeness is not None
    assert set(late.completeness.tolist()) == {0.75}
    whole = load_columns(patterns, transform_graph_dir, log_contract, fit="judged", in_turn=True)
    order = [*range(60, 120), *range(60)]
    assert whole.label.tolist() == [rows[i]["judged_label"] for i in order]
    np.testing.assert_array_equal(late.ids, whole.ids[[order.index(i) for i in wanted]])


def test_columns_on_disk_are_those_in_memory(
    tmp_path: Path,
    log_contract: Contract,
    log_rows: Rows,
    transform_graph_dir: str,
    write_columns: Write,
) -> None:
    rows = [row | {"importance": i / 4} for i, row in enumerate(log_rows)]
    for number in range(12):
        write_columns(tmp_path / "log" / f"{number:02}", rows[10 * number : 10 * number + 10])
    read = [
        load_columns(
            [f"{tmp_path}/log/*"],
            transform_graph_dir,
            weighted(log_contract),
            fit="judged",
            storage=storage,
        )
        for storage in (Disk(str(tmp_path)), MEMORY)
    ]
    assert [columns.storage is MEMORY for columns in read] == [False, True]
    found, wanted = (columns.arrays for columns in read)
    assert list(found) == list(wanted) == list(ARRAYS)
    for name, values in found.items():
        assert values.dtype == wanted[name].dtype
        np.testing.assert_array_equal(values, wanted[name])


def test_few_files_are_held_at_once() -> None:
    """However slow the first one is, or whoever takes what is read."""
    begun: list[str] = []

    def read(file: str) -> list[Columns]:
        begun.append(file)
        time.sleep(0.02 if file == "0" else 0)
        return []

    files = [str(number) for number in range(50)]
    for taken, _ in enumerate(load._in_order(read, files)):
        time.sleep(0.001)
        assert len(begun) <= taken + load.FILES_AT_ONCE
    assert sorted(begun) == sorted(files)


def test_storage_is_chosen_by_size(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    log_contract: Contract,
    log_rows: Rows,
    write_columns: Write,
) -> None:
    """Ids, numbers, label, CVR and completeness take 4 bytes each, the task one."""
    layout = FeatureLayout.from_contract(log_contract)
    of_row = 4 * (len(layout.categorical) + layout.numeric_width + 3) + 1
    splits = [[str(write_columns(tmp_path / name, log_rows[:60]))] for name in ("a", "b")]

    def chosen(**settings: str) -> bool:
        training = TrainingSettings.model_validate({"input_dir": str(tmp_path)} | settings)
        return load.choose_storage(training, splits, log_contract) is MEMORY

    monkeypatch.setattr(load, "IN_MEMORY", 120 * of_row + 1)
    assert chosen()
    assert not chosen(input="disk")
    monkeypatch.setattr(load, "IN_MEMORY", 120 * of_row)
    assert not chosen()
    assert chosen(input="memory")


def test_no_click_has_no_last_day(
    tmp_path: Path, log_contract: Contract, write_columns: Write
) -> None:
    write_columns(tmp_path / "0", [])
    with pytest.raises(InputError, match="no click; wanted at least one"):
        load.last_days([f"{tmp_path}/*"], log_contract, 3)
