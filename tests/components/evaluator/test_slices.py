"""Which slices there are, what they are called, which rows they hold."""

from __future__ import annotations

import pyarrow as pa
import pytest

from components.evaluator.metrics.slices import (
    slice_columns,
    slice_name,
    split_by_slice,
    usable_slices,
    within_hard,
)
from components.evaluator.settings import EvaluationSettings
from schemas.contract import Contract
from schemas.errors import InputError


def test_slices_of_roles_that_the_contract_lacks_are_left_out(contract: Contract) -> None:
    slices = usable_slices(EvaluationSettings().slices, contract)
    assert ("setup_category",) in slices
    assert not any("setup_advertiser_type" in columns for columns in slices)


def test_string_columns_of_the_contract_are_slices(contract: Contract) -> None:
    assert usable_slices(((), ("task",), ("ad", "task")), contract)[-1] == ("ad", "task")


def test_unknown_column_is_one_line(contract: Contract) -> None:
    with pytest.raises(InputError, match=r"evaluation\.slices: 'price' cannot be sliced by"):
        usable_slices((("price",),), contract)


def test_names() -> None:
    assert slice_name(()) == "all"
    assert slice_name((("task", "hard"), ("cvr_bucket", "1"))) == "task=hard&cvr_bucket=1"
    assert slice_columns(((), ("task",), ("cvr_bucket", "task"))) == ("task", "cvr_bucket")


@pytest.mark.parametrize(
    ("name", "within"),
    [
        ("all", False),
        ("task=hard", False),
        ("task=hard&cvr_bucket=1", True),
        ("cvr_bucket=1&task=hard", True),
        ("task=soft&cvr_bucket=1", False),
        ("task=hardly&cvr_bucket=1", False),
    ],
)
def test_within_hard(name: str, within: bool) -> None:
    assert within_hard(name) is within


def test_rows_of_each_slice(table: pa.Table) -> None:
    (batch,) = table.to_batches()
    found = {
        slice_name(pairs): rows.tolist()
        for pairs, rows in split_by_slice(batch, ((), ("task",), ("cvr_bucket", "task")))
    }
    assert found == {
        "all": [0, 1, 2, 3, 4, 5],
        "task=hard": [0, 2, 3, 5],
        "task=soft": [1, 4],
        "cvr_bucket=1&task=hard": [0, 3, 5],
        "cvr_bucket=2&task=hard": [2],
        "cvr_bucket=2&task=soft": [1, 4],
    }


def test_no_rows_no_slices(table: pa.Table) -> None:
    empty = pa.RecordBatch.from_arrays(
        [pa.array([], field.type) for field in table.schema], schema=table.schema
    )
    assert list(split_by_slice(empty, ((), ("task",)))) == []
