"""The routing table's reader against a plain dictionary, and on broken files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.routing import table as reader
from common.routing.rules import CandidateError, RoutingSettings, split_setups
from common.routing.serving_file import serving_bytes, serving_table
from common.routing.table import RoutingTable
from schemas.errors import InputError
from schemas.setup_id import checked_values, setup_id

SETTINGS: dict[str, Any] = {
    "assignment_id": "0123456789abcdef",
    "alpha": 0.01,
    "online_alpha": 0.009,
    "setup": ["shop", "goal"],
    "as_of": "2024-04-10",
    "labelling": {"anything": "else"},
    "unknown_setups": [
        {"category": "buy", "advertiser_type": "bank", "task": "soft", "prior_cvr": 0.02},
        {"category": "buy", "advertiser_type": None, "task": "hard", "prior_cvr": 0.001},
        {"category": None, "advertiser_type": "bank", "task": "fallback"},
        {"category": None, "advertiser_type": None, "task": "soft", "prior_cvr": 0.5},
    ],
}
ROWS = pa.table(
    {
        "setup_id": ["a|buy", "b|buy", "a|visit", "é|\\|"],
        "task": ["hard", "fallback", "soft", "hard"],
        "reason": ["history", "cold_start", "held", "pinned"],
        "historical_cvr": [0.001, 0.02, 0.4, 0.0],
        "observed_clicks": [900, 0, 50, 3],
    }
)


def write(folder: Path, rows: pa.Table = ROWS, arrow: bool = True, **changes: Any) -> Path:
    extra = folder / "assets.extra"
    extra.mkdir(parents=True)
    contents = SETTINGS | changes
    (extra / "routing.json").write_text(json.dumps(contents))
    pq.write_table(rows, extra / "routing.parquet")
    if arrow:
        data = serving_bytes(serving_table(rows, contents["assignment_id"]))
        (extra / "routing.arrow").write_bytes(data)
    return folder


@pytest.fixture(params=[True, False], ids=["arrow", "parquet"])
def version(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return write(tmp_path, arrow=request.param)


def test_known_setups(version: Path) -> None:
    table = RoutingTable.load(version)
    got = table.route(["é|\\|", "a|buy", "b|buy", "a|visit", "a|buy"])
    assert got.task.tolist() == ["hard", "hard", "fallback", "soft", "hard"]
    assert got.reason.tolist() == ["pinned", "history", "cold_start", "held", "history"]
    assert got.cvr.tolist() == [0.0, 0.001, 0.02, 0.4, 0.001]
    assert (len(table), table.assignment_id) == (4, "0123456789abcdef")
    assert table.settings.setup == ("shop", "goal")


def test_unknown_setups_go_by_the_most_specific_rule(version: Path) -> None:
    got = RoutingTable.load(version).route(
        ["x|x", "x|x", "x|x", "x|x", "a|buy", "x|x"],
        ["buy", "buy", "visit", "visit", "buy", None],
        ["bank", "shop", "bank", "shop", "bank", "bank"],
    )
    assert got.task.tolist() == ["soft", "hard", "fallback", "soft", "hard", "fallback"]
    assert got.reason.tolist() == [
        "unknown",
        "unknown_type",
        "unknown_category",
        "unknown_category",
        "history",
        "unknown_category",
    ]
    np.testing.assert_array_equal(got.cvr, [0.02, 0.001, np.nan, 0.5, 0.001, np.nan])


def test_the_category_of_an_unknown_setup_stands_in_its_id(tmp_path: Path) -> None:
    table = RoutingTable.load(write(tmp_path, category="goal", advertiser_type="shop"))
    ids = ["bank|buy", "x|buy", "x|bui", "x|\\|"]
    got = table.route(ids)
    assert got.task.tolist() == ["soft", "hard", "soft", "soft"]
    assert got.reason.tolist() == ["unknown", "unknown_type"] + ["unknown_category"] * 2
    same = table.route(ids[:2], ["buy", "buy"], ["bank", ""])
    assert same.task.tolist() == ["soft", "hard"]
    with pytest.raises(CandidateError, match=r"category: 'visit'; wanted 'buy', as in setup"):
        table.route(ids, [None, "visit", None, None])
    with pytest.raises(CandidateError, match=r"advertiser_type: 'x'; wanted 'bank'"):
        table.route(ids[:1], None, ["x"])
    # Of a setup that the table holds too, though it needs no rule.
    with pytest.raises(CandidateError, match=r"'visit'; wanted 'buy', as in setup 'a\|buy'") as at:
        table.route(["bank|buy", "a|buy"], ["buy", "visit"])
    assert (at.value.candidate, at.value.field) == (1, "category")


@pytest.mark.parametrize(
    ("setup", "message"),
    [
        ("a", "has 1 of 2 values; wanted shop|goal"),
        ("", "has 1 of 2 values; wanted shop|goal"),
        ("a|buy|buy", "has 3 of 2 values; wanted shop|goal"),
        (r"a\|buy", "has 1 of 2 values; wanted shop|goal"),
        ("|buy", "has no shop; wanted shop|goal"),
        ("a|", "has no goal; wanted shop|goal"),
        (r"\a|buy", r"has a '\\' that escapes nothing; wanted 'a|buy'"),
        ("a|buy\\", r"has a '\\' that escapes nothing; wanted 'a|buy\\\\'"),
    ],
)
def test_an_id_that_no_setup_can_have_is_refused(version: Path, setup: str, message: str) -> None:
    with pytest.raises(CandidateError) as error:
        RoutingTable.load(version).route(["a|buy", setup])
    assert (error.value.candidate, error.value.field) == (1, "setup_id")
    assert error.value.message == f"{setup!r} {message}"


texts = st.text(alphabet="ab|\\é", min_size=1, max_size=4)


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=6))
def test_values_of_many_setups_are_those_of_each(setups: list[tuple[str, str]]) -> None:
    ids = [setup_id(values) for values in setups]
    found = split_setups(range(len(ids)), ids, ("shop", "goal"))
    assert [list(column) for column in found] == [list(c) for c in zip(*setups, strict=True)]


@given(st.lists(st.text(alphabet="a|\\", max_size=4), min_size=1, max_size=4))
def test_ids_that_are_taken_are_those_that_their_values_make(ids: list[str]) -> None:
    try:
        found = split_setups(range(len(ids)), ids, ("shop", "goal"))
    except CandidateError as error:
        with pytest.raises(ValueError, match="wanted"):
            checked_values(ids[error.candidate], ("shop", "goal"))
    else:
        assert [setup_id(values) for values in zip(*found, strict=True)] == ids
        assert "" not in {value for column in found for value in column}


def test_rules_of_a_log_without_categories(tmp_path: Path) -> None:
    rules = [
        {"category": "", "advertiser_type": "", "task": "hard", "prior_cvr": 0.001},
        {"category": "", "advertiser_type": None, "task": "soft", "prior_cvr": 0.1},
        {"category": None, "advertiser_type": None, "task": "soft", "prior_cvr": 0.2},
    ]
    table = RoutingTable.load(write(tmp_path, unknown_setups=rules))
    got = table.route(["new|buy", "new|visit"], [None, "visit"])
    assert got.task.tolist() == ["hard", "soft"]
    assert got.reason.tolist() == ["unknown", "unknown_category"]
    np.testing.assert_array_equal(got.cvr, [0.001, 0.2])


def test_unknown_setups_of_no_category(version: Path) -> None:
    got = RoutingTable.load(version).route(["x|x", "x|buy", "a|buy"])
    assert got.task.tolist() == ["soft", "soft", "hard"]


def test_nothing_asked_and_nothing_known(tmp_path: Path) -> None:
    table = RoutingTable.load(write(tmp_path, ROWS.slice(0, 0)))
    assert table.route([]).task.tolist() == []
    assert table.route(["a|buy"]).reason.tolist() == ["unknown_category"]


one_column = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=4).map(
    lambda value: setup_id([value])
)


@settings(max_examples=50, deadline=None)
@given(
    held=st.dictionaries(
        one_column,
        st.tuples(
            st.sampled_from(["hard", "soft"]),
            st.sampled_from(["history", "prior"]),
            st.floats(0, 1),
        ),
        max_size=30,
    ),
    asked=st.lists(one_column, max_size=40),
    bits=st.sampled_from([0, 1, 64]),
    remembers=st.sampled_from([2, 100]),
    at_once=st.booleans(),
)
def test_agrees_with_a_dictionary(
    held: dict[str, tuple[str, str, float]],
    asked: list[str],
    bits: int,
    remembers: int,
    at_once: bool,
) -> None:
    """With keys cut to 0 or 1 bit, nearly all setups share theirs; of two setups remembered, nearly
    all are searched for."""

    def weak(ids: list[str]) -> np.ndarray:
        return strong(ids) >> np.uint64(64 - bits) if bits else np.zeros(len(ids), np.uint64)

    strong = reader.setup_keys
    patch = pytest.MonkeyPatch()
    patch.setattr(reader, "REMEMBERED", remembers)
    if bits < 64:
        patch.setattr("common.routing.serving_file.setup_keys", weak)
        patch.setattr(reader, "setup_keys", weak)
    with patch.context():
        rows = pa.table(
            {
                "setup_id": pa.array(list(held), pa.string()),
                "task": pa.array([v[0] for v in held.values()], pa.string()),
                "reason": pa.array([v[1] for v in held.values()], pa.string()),
                "historical_cvr": pa.array([v[2] for v in held.values()], pa.float64()),
            }
        )
        made = serving_table(rows, "x")
        settings = RoutingSettings.model_validate(SETTINGS | {"setup": ["shop"]})
        table = RoutingTable(settings, made)
        if at_once:
            table.remember()
        asked = asked + list(held)
        answers = [table.route(asked) for _ in range(2)]
    patch.undo()
    wanted = [held.get(s, ("soft", "unknown_category", 0.5)) for s in asked]
    for got in answers:
        assert list(zip(got.task, got.reason, got.cvr, strict=True)) == wanted


def test_lengths_must_agree(version: Path) -> None:
    with pytest.raises(InputError, match="categories: 1 values for 2 setup ids"):
        RoutingTable.load(version).route(["a", "b"], ["buy"])


@pytest.mark.parametrize("bad", ["\ud800", 7, None])
def test_ids_must_be_text(version: Path, bad: Any) -> None:
    with pytest.raises(InputError, match=r"setup_ids: .* wanted text"):
        RoutingTable.load(version).route(["a|buy", bad])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"assignment_id": ""}, "assignment_id: String should have at least 1"),
        ({"online_alpha": 2}, r"online_alpha: .*less than 1 \(seen: 2\)"),
        ({"unknown_setups": SETTINGS["unknown_setups"][:1]}, "no rule for every setup"),
        ({"unknown_setups": SETTINGS["unknown_setups"] * 2}, "more than once"),
    ],
)
def test_broken_settings(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    write(tmp_path)
    path = tmp_path / "assets.extra" / "routing.json"
    path.write_text(json.dumps(SETTINGS | changes))
    with pytest.raises(InputError, match=f"routing.json: .*{message}"):
        RoutingTable.load(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[]", "an object"),
    ],
)
def test_unreadable_settings(tmp_path: Path, content: bytes, message: str) -> None:
    write(tmp_path)
    (tmp_path / "assets.extra" / "routing.json").write_bytes(content)
    with pytest.raises(InputError, match=f"routing.json: .*{message}"):
        RoutingTable.load(tmp_path)


@pytest.mark.parametrize(
    ("missing", "arrow"), [("routing.json", True), ("routing.json", False), ("routing.parquet", 0)]
)
def test_missing_files(tmp_path: Path, missing: str, arrow: bool) -> None:
    write(tmp_path, arrow=arrow)
    (tmp_path / "assets.extra" / missing).unlink()
    with pytest.raises(InputError, match=f"(?i){missing}: no such file"):
        RoutingTable.load(tmp_path)


@pytest.mark.parametrize("name", ["routing.arrow", "routing.parquet"])
@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.9])
def test_cut_files(tmp_path: Path, name: str, keep: float) -> None:
    write(tmp_path, arrow=name == "routing.arrow")
    path = tmp_path / "assets.extra" / name
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data)) if keep < 1 else int(keep)])
    with pytest.raises(InputError, match=f"{name}: not a"):
        RoutingTable.load(tmp_path)


@pytest.mark.parametrize("arrow", [True, False])
@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (pa.concat_tables([ROWS, ROWS.slice(2, 1)]), "'a|visit' more than once"),
        (ROWS.set_column(3, "historical_cvr", [[0.1, float("nan"), 0, 1]]), "nan; wanted a number"),
        (ROWS.set_column(3, "historical_cvr", [[0.1, 2.0, 0, 1]]), "2.0; wanted a number"),
        (ROWS.set_column(1, "task", [["hard", None, "soft", "hard"]]), "task: 1 nulls"),
        (ROWS.set_column(1, "task", [["hard", "warm", "soft", "hard"]]), "task: 'warm'; wanted"),
    ],
)
def test_broken_rows(tmp_path: Path, rows: pa.Table, message: str, arrow: bool) -> None:
    with pytest.raises(InputError, match=message.replace("|", r"\|")):
        RoutingTable.load(write(tmp_path, rows, arrow))


def test_missing_column(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"routing.parquet: no column reason; wanted setup_id"):
        RoutingTable.load(write(tmp_path, ROWS.drop(["reason"]), arrow=False))


def test_files_of_two_assignments(tmp_path: Path) -> None:
    write(tmp_path)
    other = serving_bytes(serving_table(ROWS, "fedcba9876543210"))
    (tmp_path / "assets.extra" / "routing.arrow").write_bytes(other)
    with pytest.raises(InputError, match="assignment_id 'fedcba9876543210'; wanted '0123456789ab"):
        RoutingTable.load(tmp_path)


def test_other_arrow_files_and_unsorted_keys_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path) / "assets.extra" / "routing.arrow"
    path.write_bytes(serving_bytes(ROWS))
    with pytest.raises(InputError, match="format ''; wanted 'hardtower-routing-1'"):
        RoutingTable.load(tmp_path)
    made = serving_table(ROWS, SETTINGS["assignment_id"])
    path.write_bytes(serving_bytes(made.take(pa.array([3, 1, 2, 0]))))
    with pytest.raises(InputError, match="column key: not sorted"):
        RoutingTable.load(tmp_path)


def test_a_table_outlives_its_version(version: Path) -> None:
    """A version may be pruned while a process still serves from it."""
    table = RoutingTable.load(version)
    for path in (version / "assets.extra").iterdir():
        path.unlink()
    assert table.route(["a|visit"]).task.tolist() == ["soft"]


def test_serving_loads_no_pipeline_library(version: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from common.routing.table import RoutingTable\n"
        f"table = RoutingTable.load(Path({str(version)!r}))\n"
        "print(table.route(['a|buy', 'x|x']).task.tolist())\n"
        "print(sorted({'tensorflow', 'tfx', 'apache_beam'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == ["['hard', 'soft']", "[]"]
