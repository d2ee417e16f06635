"""Bodies of requests into columns, against one value at a time."""

from __future__ import annotations

import json
import struct
import time
import tracemalloc
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service.decoding.arrow_body import ArrowDecoder
from service.decoding.json_body import JsonDecoder
from service.decoding.request import FIELDS, BadFieldError, Request
from service.http.messages import PredictRequest
from service.models.inputs import InputSchema, fill_in, missing

SCHEMA = InputSchema(text=("ad", "key", "shop"), numbers=("age", "price"))
MOST = 5

JSON_BODIES = JsonDecoder(SCHEMA, MOST)
ARROW_BODIES = ArrowDecoder(SCHEMA, MOST, JSON_BODIES.context)


def decode(body: Any) -> Request:
    return JSON_BODIES.decode(body if isinstance(body, bytes) else json.dumps(body).encode())


def arrow(
    columns: dict[str, pa.Array], metadata: dict[str, str] | None = None, **options: Any
) -> bytes:
    batch = pa.record_batch(list(columns.values()), names=list(columns))
    batch = batch.replace_schema_metadata(metadata)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=pa.ipc.IpcWriteOptions(**options)) as file:
        file.write_batch(batch)
    return sink.getvalue().to_pybytes()


text = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
number = st.none() | st.integers(-(2**40), 2**40) | st.floats(-1e30, 1e30)
features = st.fixed_dictionaries(
    {}, optional={"ad": text, "key": text, "shop": text, "age": number, "price": number}
)
fields = st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, text))
candidates = st.lists(
    st.builds(lambda f, x: f | {"features": x}, fields, features), min_size=1, max_size=MOST
)


def assert_holds(request: Request, context: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    """The request's columns are those of the rows, value by value."""
    assert len(request) == len(rows)
    for i, row in enumerate(rows):
        merged = context | row.get("features", {})
        for place, name in enumerate(SCHEMA.text):
            assert request.columns.text[place, i] == (merged.get(name) or "")
        for place, name in enumerate(SCHEMA.numbers):
            value = merged.get(name)
            wanted = np.float32(np.nan if value is None else value)
            np.testing.assert_array_equal(request.columns.numbers[place, i], wanted)
        for name in FIELDS:
            assert request.field(name)[i] == row.get(name)


@given(features, candidates, text, text)
def test_rows_agree_with_one_value_at_a_time(
    context: dict[str, Any], rows: list[dict[str, Any]], request_id: str | None, key: str | None
) -> None:
    body = {"context": context, "candidates": rows, "request_id": request_id, "key": key}
    request = decode(body)
    assert (request.request_id, request.key) == (request_id, key)
    assert_holds(request, context, rows)
    PredictRequest.model_validate(body)


@given(features, candidates, st.sets(st.sampled_from(["ad", "key", "shop", "age", "price"])))
def test_columns_agree_with_rows(
    context: dict[str, Any], rows: list[dict[str, Any]], given_features: set[str]
) -> None:
    """The same candidates by rows, by JSON columns and by Arrow."""
    rows = [
        {n: r.get(n) for n in FIELDS}
        | {"features": {n: r["features"].get(n) for n in given_features}}
        for r in rows
    ]
    columns = {n: [r[n] for r in rows] for n in FIELDS} | {
        "features.key" if n == "key" else n: [r["features"][n] for r in rows]
        for n in given_features
    }
    request = decode({"context": context, "candidates": columns})
    assert_holds(request, context, rows)
    types = {"age": pa.float64(), "price": pa.float64()}
    arrays = {n: pa.array(values, types.get(n, pa.string())) for n, values in columns.items()}
    metadata = {"context": json.dumps(context), "request_id": "é", "key": "k"}
    request = ARROW_BODIES.decode(arrow(arrays, metadata))
    assert (request.request_id, request.key) == ("é", "k")
    assert_holds(request, context, rows)


def test_a_candidates_null_goes_before_the_contexts_value() -> None:
    request = decode(
        {
            "context": {"shop": "é", "age": 3, "price": 9.5},
            "candidates": [
                {"features": {"ad": "x", "price": 1.5}},
                {"features": {"shop": None, "price": None}},
                {"features": {"age": 2**60, "shop": ""}},
            ],
        }
    )
    columns = request.columns
    assert columns.text.tolist() == [["x", "", ""], ["", "", ""], ["é", "", ""]]
    wanted = np.array([[3, 3, 2**60], [1.5, np.nan, 9.5]], np.float32)
    np.testing.assert_array_equal(columns.numbers, wanted)
    np.testing.assert_array_equal(columns.take(np.array([2, 0])).numbers, wanted[:, [2, 0]])


BAD: list[tuple[Any, str, str]] = [
    ({"price": "1"}, "candidates.1.features.price", "'1' is text; wanted a number or null"),
    ({"price": True}, "candidates.1.features.price", "'True' is a truth value; wanted a number"),
    ({"ad": 3}, "candidates.1.features.ad", "'3' is a number; wanted text or null"),
    ({"ad": ["x"]}, "candidates.1.features.ad", "is a list; wanted text"),
    ({"ad": [[[[[{}]]]]]}, "candidates.1.features.ad", "is a list; wanted text"),
    ({"prize": 3}, "candidates.1.features.prize", "unknown feature"),
    ({"price": 1e39}, "candidates.1.features.price", "out of range"),
    ({"price": -(10**400)}, "candidates.1.features.price", "out of range"),
]


@pytest.mark.parametrize(("second", "field", "message"), BAD)
def test_a_bad_value_is_named(second: dict[str, Any], field: str, message: str) -> None:
    with pytest.raises(BadFieldError, match=message) as caught:
        decode({"candidates": [{"features": {"ad": "x"}}, {"features": second}]})
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({"context": {"prize": 3}, "candidates": [{}]}, "context.prize", "unknown feature"),
        ({"context": {"age": "old"}, "candidates": [{}]}, "context.age", "'old' is text"),
        ({"context": {"age": 1e39}, "candidates": [{}]}, "context.age", "out of range"),
        ({"context": 3, "candidates": [{}]}, "context", "'3' is a number; wanted an object"),
        ({"candidates": 3}, "candidates", "'3' is a number; wanted an object or a list"),
        ({"candidates": [[]]}, "candidates.0", "a list; wanted an object"),
        ({"candidates": []}, "candidates", "0 of them; wanted at least one"),
        ({"candidates": [{}] * 6}, "candidates", "6 of them; wanted at most 5"),
        ({"candidates": [{}] * 60}, "candidates", "60 of them; wanted at most 5"),
        ({"candidates": [{}] * 99_000}, "candidates", "wanted at most 5 candidates"),
        ({"candidates": [{"id": 3}]}, "candidates.0.id", "unknown field"),
        ({"candidates": {}}, "candidates", "no column"),
        ({"candidates": {"ad": []}}, "candidates", "0 of them"),
        ({"candidates": {"ad": ["x"] * 6}}, "candidates", "6 of them"),
        ({"candidates": {"ad": ["x"] * 99_000}}, "", "values; wanted at most 5 candidates"),
        ({"candidates": {"prize": [1]}}, "candidates.prize", "unknown column"),
        ({"candidates": {"ad": ["x"], "age": [1, 2]}}, "candidates.age", "2 values; wanted 1"),
        ({"candidates": {"age": [1, "x"]}}, "candidates.age.1", "'x' is text; wanted a number"),
        ({"candidates": {"age": [1, 1e39]}}, "candidates.age.1", "out of range"),
        ({"candidates": [{"key": "k" * 1025}]}, "candidates.0.key", "length <= 1024"),
        (b'{"candidates": [{"key": "\xff"}]}', "", "not JSON in UTF-8"),
        (b'{"candidates": [{"key": "\\ud800"}]}', "", "not JSON in UTF-8"),
        (b'{"candidates": [{"features": {"age": NaN}}]}', "", "not JSON"),
        (b'{"candidates": ' + b"[" * 100_000, "candidates.0", "a list; wanted an object"),
        (b'{"candidates": [{"key": 7}, x', "candidates.0.key", "a number; wanted text or null"),
        (b"", "", "not JSON"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_bad_body_is_named(body: Any, field: str, message: str) -> None:
    with pytest.raises(BadFieldError, match=message) as caught:
        decode(body)
    assert caught.value.field == field


ODD = InputSchema(
    ("input", "site.host", "setup_id"),
    ("price__usd_", "input_2"),
    {
        "input": "größe",
        "site.host": "site.host",
        "setup_id": "setup id",
        "price__usd_": "price (usd)",
        "input_2": "input",
    },
)
ODD_JSON = JsonDecoder(ODD, MOST)
ODD_ARROW = ArrowDecoder(ODD, MOST, ODD_JSON.context)
ODD_NAMES = {
    "größe": ("größe",),
    "site.host": ("site.host",),
    "setup id": ("setup id", "features.setup_id"),
    "price (usd)": ("price (usd)", "price__usd_"),
    "input": ("input", "input_2"),
}
"""Of each column, the names that it may have in a body of columns. `input` is the log's own name of
one column, and not TensorFlow's of another."""


@given(st.lists(st.booleans(), min_size=10, max_size=10))
def test_features_go_by_the_logs_names_and_by_tensorflows(cleaned: list[bool]) -> None:
    """Rows, columns and Arrow of the same two candidates, each feature by either name."""
    values = {
        "größe": ["XL", None],
        "site.host": ["s", "t"],
        "setup id": ["x", "y"],
        "price (usd)": [1.5, None],
        "input": [2.5, 3.0],
    }
    pick = iter(cleaned)
    columns = {ODD_NAMES[name][-next(pick)]: own for name, own in values.items()}
    rows: list[dict[str, Any]] = [{"features": {}}, {"features": {}}]
    for name, own in values.items():
        spelt = ODD_NAMES[name][-next(pick)].removeprefix("features.")
        for row, value in zip(rows, own, strict=True):
            row["features"][spelt] = value
    types = [pa.float64() if isinstance(own[0], float) else pa.string() for own in columns.values()]
    arrays = dict(zip(columns, map(pa.array, columns.values(), types), strict=True))
    for request in (
        ODD_JSON.decode(json.dumps({"candidates": columns}).encode()),
        ODD_JSON.decode(json.dumps({"candidates": rows}).encode()),
        ODD_ARROW.decode(arrow(arrays)),
    ):
        assert request.columns.text.tolist() == [["XL", ""], ["s", "t"], ["x", "y"]]
        np.testing.assert_array_equal(request.columns.numbers, [[1.5, np.nan], [2.5, 3.0]])
        assert request.fields.get("setup_id", (None, None)) == (None, None)


def test_a_context_by_one_name_gives_way_to_a_candidate_by_the_other() -> None:
    body = {
        "context": {"price__usd_": 9.0, "größe": "S"},
        "candidates": [{"features": {"price (usd)": 1.0}}, {}],
    }
    request = ODD_JSON.decode(json.dumps(body).encode())
    np.testing.assert_array_equal(request.columns.numbers[0], [1.0, 9.0])
    assert request.columns.text[0].tolist() == ["S", "S"]


TWICE = {"price (usd)": 1.0, "price__usd_": 1.0}


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"candidates": [{}, {"features": TWICE}]}, "candidates.1.features"),
        ({"context": TWICE, "candidates": [{}]}, "context"),
        ({"candidates": {name: [value] for name, value in TWICE.items()}}, "candidates"),
        (arrow({name: pa.array([value]) for name, value in TWICE.items()}), "candidates"),
    ],
    ids=["rows", "context", "columns", "arrow"],
)
def test_a_feature_by_both_names_is_refused(body: Any, place: str) -> None:
    of_arrow = isinstance(body, bytes)
    decoder, sent = (ODD_ARROW, body) if of_arrow else (ODD_JSON, json.dumps(body).encode())
    with pytest.raises(BadFieldError, match=r"there as 'price \(usd\)' too") as caught:
        decoder.decode(sent)
    assert caught.value.field == f"{place}.price__usd_"


def test_a_name_that_the_parser_cannot_hold_goes_by_tensorflows() -> None:
    schema = InputSchema((), ("inch__",), {"inch__": 'inch "\\'})
    request = JsonDecoder(schema, MOST).decode(b'{"candidates": [{"features": {"inch__": 3}}]}')
    assert request.columns.numbers.tolist() == [[3.0]]
    context = JsonDecoder(schema, MOST).context
    batch = arrow({'inch "\\': pa.array([3.0])})
    assert ArrowDecoder(schema, MOST, context).decode(batch).columns.numbers == 3.0


def test_brackets_and_commas_in_text_do_not_count() -> None:
    awkward = '{[,"\\' * 200 + "\\\\"
    request = decode({"candidates": [{"features": {"ad": awkward, "shop": "\\"}}] * MOST})
    assert request.columns.text[0].tolist() == [awkward] * MOST


def written(value: Any, space: str, twice: list[int]) -> str:
    """JSON with white space around its signs, in which one key of all is written a second time.

    Args:
      twice: place of that key in the order of writing; counts down.
    """
    if isinstance(value, list):
        return f"[{','.join(written(v, space, twice) for v in value)}]"
    if not isinstance(value, dict):
        return json.dumps(value)
    pairs = []
    for key, inner in value.items():
        pair = f"{json.dumps(key)}{space}:{space}{written(inner, space, twice)}"
        pairs += [pair] * (2 if twice[0] == 0 else 1)
        twice[0] -= 1
    return f"{{{space}{f'{space},'.join(pairs)}}}"


colons = st.none() | st.text('":\\ a', max_size=4)


@given(
    features,
    candidates | st.fixed_dictionaries({"ad": st.lists(colons, min_size=1, max_size=MOST)}),
    st.sampled_from(["", " ", "\n", "\t"]),
    st.data(),
)
def test_no_key_twice(context: dict[str, Any], rows: Any, space: str, data: st.DataObject) -> None:
    """In any object of a body; colons in text are no keys."""
    body = {"context": context | {"ad": '":'}, "candidates": rows, "key": data.draw(colons)}
    once = [10_000]
    sound = written(body, space, once)
    assert decode(sound.encode()).key == body["key"]
    place = data.draw(st.integers(0, 10_000 - once[0] - 1))
    with pytest.raises(BadFieldError, match=r"key '.*' is there twice"):
        decode(written(body, space, [place]).encode())


def test_a_key_twice_is_named() -> None:
    body = b'{"candidates": [{"features": {"price": 1, "pr\\u0069ce": 2}}]}'
    with pytest.raises(BadFieldError, match=r"^: key 'price' is there twice"):
        decode(body)
    context = {"context": '{"age": 1, "age": 1}'}
    with pytest.raises(BadFieldError, match=r"^context: key 'age' is there twice"):
        ARROW_BODIES.decode(arrow({"age": pa.array([1.0])}, context))
    with pytest.raises(BadFieldError, match=r"^contxt: unknown key of the schema's metadata"):
        ARROW_BODIES.decode(arrow({"age": pa.array([1.0])}, {"contxt": '{"age": 2}'}))
    of_libraries = {"pandas": "{}", "ARROW:extension:name": "x", "key": "k"}
    assert ARROW_BODIES.decode(arrow({"age": pa.array([1.0])}, of_libraries)).key == "k"
    metadata = pa.KeyValueMetadata([("key", "a"), ("context", "{}"), ("key", "b")])
    with pytest.raises(BadFieldError, match=r"^key: is there twice in the schema's metadata"):
        ARROW_BODIES.decode(arrow({"age": pa.array([1.0])}, metadata))


WIDE = JsonDecoder(InputSchema((), tuple(f"n{i:02}" for i in range(67))), 1000)


@pytest.mark.parametrize(
    "body",
    [
        b'{"candidates":[' + b"{}," * 2_700_000 + b"{}]}",
        b'{"candidates":[' + b"null," * 1_600_000 + b"{}]}",
        b'{"candidates":{"n00":[' + b"1," * 4_000_000 + b"1]}}",
        b'{"candidates":[{"features":{' + b'"n00":1,' * 1_000_000 + b'"n00":1}}]}',
        b'{"context":{' + b'"n00":1,' * 1_000_000 + b'"n00":1},"candidates":[{}]}',
        b'{"candidates":' + b'{"candidates":' * 580_000,
        b'{"x":' + b"[" * 8_000_000,
        b'{"key":"' + b'\\"' * 4_000_000 + b'","candidates":[{}]}',
        b'{"key":"' + b"{" * 8_000_000 + b'","candidates":[{}]}',
        b'{"candidates":['
        + b"{}," * 999
        + b'{"features":{'
        + b'"n00":1,' * 60_000
        + b'"n00":1}}]}',
        b'{"key":"' + b'":' * 4_000_000 + b'","candidates":[{}]}',
    ],
    ids=lambda body: str(body[:24]),
)
def test_what_a_body_builds_is_bounded_before_it_is_built(body: bytes) -> None:
    """Eight megabytes that any decoder takes as JSON cost little before they are refused."""
    start = time.process_time()
    tracemalloc.start()
    with pytest.raises(BadFieldError):
        WIDE.decode(body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100 * 2**20
    # Wanted are 0.2 s; a machine under load has room here, quadratic growth has not.
    assert time.process_time() - start < 2


def test_a_short_body_builds_little() -> None:
    """One that is not counted before it is built, of as many candidates as it can name."""
    body = b'{"candidates":[' + b"{}," * 87_000 + b"{}]}"
    tracemalloc.start()
    with pytest.raises(BadFieldError, match="87001 of them"):
        WIDE.decode(body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20 * 2**20


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        (arrow({"prize": pa.array([1.0])}), "candidates.prize", "unknown column"),
        (arrow({"age": pa.array(["x"])}), "candidates.age", "string; wanted float or double"),
        (arrow({"ad": pa.array([1])}), "candidates.ad", "int64; wanted string"),
        (arrow({"age": pa.array([1.0, 1e39])}), "candidates.age.1", "out of range"),
        (arrow({"age": pa.array([1.0] * 6)}), "candidates", "6 of them; wanted at most 5"),
        (arrow({"age": pa.array([], pa.float32())}), "candidates", "0 of them"),
        (arrow({"key": pa.array(["k" * 1025])}), "candidates.key.0", "1025 characters"),
        (arrow({"age": pa.array([1.0] * 5)}, compression="zstd"), "", "compressed"),
        (arrow({"ad": pa.array(["x"]).dictionary_encode()}), "", "dictionary"),
        (arrow({"age": pa.array([1.0])}, {"context": "{"}), "context", "not JSON"),
        (arrow({"age": pa.array([1.0])}, {"context": '{"x": 1}'}), "context.x", "unknown feature"),
        (arrow({"age": pa.array([1.0])}, {"x": "x" * 2**19}), "", "schema of"),
        (arrow({"age": pa.array([1.0])})[:-150], "", "not an Arrow IPC stream"),
        (b"", "", "not an Arrow IPC stream"),
        (b"{}", "", "not an Arrow IPC stream"),
    ],
)
def test_a_bad_arrow_body_is_named(body: bytes, field: str, message: str) -> None:
    with pytest.raises(BadFieldError, match=message) as caught:
        ARROW_BODIES.decode(body)
    assert caught.value.field == field


def test_columns_of_one_type_side_by_side_and_apart() -> None:
    """Nulls and types as they come, and the same decoder for columns in another order."""
    arrays = {
        "price": pa.array([1, None, 2**31 - 1], pa.int32()),
        "shop": pa.array(["é", None, ""], pa.large_string()),
        "age": pa.array([None, 2**40, -3], pa.int64()),
        "ad": pa.array(["a", "b", None]),
    }
    rows = [
        {"features": {"price": 1, "shop": "é", "age": None, "ad": "a"}},
        {"features": {"price": None, "shop": None, "age": 2**40, "ad": "b"}},
        {"features": {"price": 2**31 - 1, "shop": "", "age": -3, "ad": None}},
    ]
    for names in (list(arrays), list(arrays)[::-1], ["age", "price"]):
        request = ARROW_BODIES.decode(
            arrow({n: arrays[n] for n in names}, {"context": '{"ad": "x"}'})
        )
        kept = [{"features": {n: row["features"][n] for n in names}} for row in rows]
        assert_holds(request, {"ad": "x"}, kept)


def test_columns_that_lie_over_each_other_are_refused() -> None:
    """Or a body could hold one long text and make it the value of every feature."""
    sizes = {"ad": 3000, "shop": 72, "key": 136}
    names = {"key": "features.key"}
    body = arrow({names.get(n, n): pa.array(["x" * size]) for n, size in sizes.items()})
    before = [ARROW_BODIES.decode(body).columns.text[i, 0] for i in range(3)]
    assert sorted(map(len, before)) == sorted(sizes.values())

    def buffer_of(size: int) -> int:
        """Where the record batch tells the offset and the length of the only text."""
        length = struct.pack("<q", size)
        (place,) = [i for i in range(0, len(body), 8) if body[i : i + 8] == length]
        return place - 8

    long = buffer_of(3000)
    for other in (72, 136):
        place = buffer_of(other)
        body = body[:place] + body[long : long + 16] + body[place + 16 :]
    with pytest.raises(BadFieldError, match=r"columns of 90.. bytes in a body of"):
        ARROW_BODIES.decode(body)


GOOD = arrow(
    {"setup_id": pa.array(["a", None, "é"]), "age": pa.array([1.0, None, 3.0])}, {"context": "{}"}
)


@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=4))
def test_a_damaged_arrow_body_is_refused_or_read(changes: list[tuple[int, int]]) -> None:
    body = bytearray(GOOD)
    for place, value in changes:
        body[place] = value
    try:
        request = ARROW_BODIES.decode(body)
    except BadFieldError:
        return
    assert 1 <= len(request) <= MOST


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(
        ["candidates", "context", "features", "setup_id", "key", "ad", "age", "x"]
    ), inner, max_size=4),
    max_leaves=12,
))  # fmt: skip
def test_what_the_document_refuses_is_refused(value: Any) -> None:
    """The described bodies are an oracle for which JSON is a request; features aside."""
    body = {"candidates": [{}], "context": value} if not isinstance(value, dict) else value
    try:
        PredictRequest.model_validate_json(json.dumps(body))
    except ValidationError:
        with pytest.raises(BadFieldError):
            decode(body)


def test_schemas_differ_in_names_and_types() -> None:
    one = InputSchema(text=("ad", "shop"), numbers=("age", "price"))
    other = InputSchema(text=("ad", "price"), numbers=("new",))
    assert other.difference(one) == (
        "no feature 'age'; no feature 'shop'; unknown feature 'new'; feature 'price' is text, "
        "wanted number"
    )
    assert one.difference(one) == ""


def test_missing_candidates_have_no_value() -> None:
    columns = missing(SCHEMA, 3)
    assert columns.text.tolist() == [[""] * 3] * 3
    assert np.isnan(columns.numbers).all()
    assert columns.numbers.shape == (2, 3)


def test_what_a_request_left_out_is_filled_in() -> None:
    columns = decode(
        {"candidates": [{"features": {"price": 2.5}}, {"features": {"age": 1}}, {}]}
    ).columns
    fill_in(columns, SCHEMA, "price", np.array([7.0, 0.25, np.nan]))
    fill_in(columns, SCHEMA, "not a feature", np.array([1.0, 1.0, 1.0]))
    np.testing.assert_array_equal(columns.numbers, [[np.nan, 1, np.nan], [2.5, 0.25, np.nan]])
