"""Packing the features of a request."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.models.inputs import BadFieldError, InputSchema, fill_in, missing, to_columns

SCHEMA = InputSchema(text=("ad", "shop"), numbers=("age", "price"))


def test_a_candidates_value_goes_before_the_contexts() -> None:
    columns = to_columns(
        SCHEMA,
        {"shop": "é", "age": 3, "price": 9.5},
        [{"ad": "x", "price": 1.5}, {"shop": None, "price": None}, {"age": 2**60}],
    )
    assert columns.text.tolist() == [[b"x", b"", b""], ["é".encode(), b"", "é".encode()]]
    wanted = np.array([[3, 3, 2**60], [1.5, np.nan, 9.5]], np.float32)
    np.testing.assert_array_equal(columns.numbers, wanted)
    np.testing.assert_array_equal(columns.take(np.array([2, 0])).numbers, wanted[:, [2, 0]])


text = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
number = st.none() | st.integers(-(2**40), 2**40) | st.floats(-1e30, 1e30)
features = st.fixed_dictionaries(
    {}, optional={"ad": text, "shop": text, "age": number, "price": number}
)


@given(features, st.lists(features, min_size=1, max_size=4))
def test_agrees_with_one_value_at_a_time(
    context: dict[str, Any], candidates: list[dict[str, Any]]
) -> None:
    columns = to_columns(SCHEMA, context, candidates)
    for i, candidate in enumerate(candidates):
        merged = context | candidate
        for row, name in enumerate(SCHEMA.text):
            assert columns.text[row, i] == (merged.get(name) or "").encode()
        for row, name in enumerate(SCHEMA.numbers):
            value = merged.get(name)
            wanted = np.float32(np.nan if value is None else value)
            np.testing.assert_array_equal(columns.numbers[row, i], wanted)


@pytest.mark.parametrize(
    ("context", "second", "field", "message"),
    [
        ({}, {"price": "1"}, "candidates.1.features.price", "'1' is str; wanted a number"),
        ({}, {"price": True}, "candidates.1.features.price", "bool"),
        ({}, {"ad": 3}, "candidates.1.features.ad", "int; wanted text"),
        ({}, {"ad": ["x"]}, "candidates.1.features.ad", "list"),
        ({}, {"prize": 3}, "candidates.1.features.prize", "unknown feature"),
        ({"prize": 3}, {}, "context.prize", "unknown feature"),
        ({"age": "old"}, {}, "context.age", "str; wanted a number"),
        ({}, {"price": 1e39}, "candidates.1.features.price", "out of range"),
        ({}, {"price": float("inf")}, "candidates.1.features.price", "out of range"),
        ({}, {"price": -(10**400)}, "candidates.1.features.price", "out of range"),
        ({"age": 1e39}, {}, "context.age", "out of range"),
    ],
)
def test_a_bad_value_is_named(
    context: dict[str, Any], second: dict[str, Any], field: str, message: str
) -> None:
    with pytest.raises(BadFieldError, match=message) as caught:
        to_columns(SCHEMA, context, [{"ad": "x"}, second])
    assert caught.value.field == field


def test_schemas_differ_in_names_and_types() -> None:
    other = InputSchema(text=("ad", "price"), numbers=("new",))
    assert other.difference(SCHEMA) == (
        "no feature 'age'; no feature 'shop'; unknown feature 'new'; feature 'price' is text, "
        "wanted number"
    )
    assert SCHEMA.difference(SCHEMA) == ""


def test_missing_candidates_have_no_value() -> None:
    columns = missing(SCHEMA, 3)
    assert columns.text.tolist() == [[b""] * 3] * 2
    assert np.isnan(columns.numbers).all()
    assert columns.numbers.shape == (2, 3)


def test_what_a_request_left_out_is_filled_in() -> None:
    columns = to_columns(SCHEMA, {}, [{"price": 2.5}, {"age": 1}, {}])
    fill_in(columns, SCHEMA, "price", np.array([7.0, 0.25, np.nan]))
    fill_in(columns, SCHEMA, "not a feature", np.array([1.0, 1.0, 1.0]))
    np.testing.assert_array_equal(columns.numbers, [[np.nan, 1, np.nan], [2.5, 0.25, np.nan]])
