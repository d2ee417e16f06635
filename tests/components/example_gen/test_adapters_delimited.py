"""Streamed text: byte ranges, conversions, and errors that name the line."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.example_gen.adapters.delimited import Layout, spans, text_blocks
from schemas.errors import InputError

PAIR = Layout(("a", "b"), ",", header=False)
NAMED = Layout(("a", "b"), ",", header=True)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.text("xyz", max_size=9), min_size=1, max_size=12),
    size=st.integers(1, 40),
    header=st.booleans(),
    ends=st.booleans(),
)
def test_ranges_hold_every_row_once(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[str],
    size: int,
    header: bool,
    ends: bool,
) -> None:
    path = tmp_path_factory.mktemp("ranges") / "log"
    lines = [*(["a,b"] if header else []), *(f"{i},{row}" for i, row in enumerate(rows))]
    path.write_text("\n".join(lines) + ("\n" if ends else ""))
    layout = NAMED if header else PAIR
    read = [
        (int(a), b)
        for span in spans(path, size)
        for part in text_blocks(path, layout, ("a", "b"), span)
        for a, b in zip(
            part.batch.column("a").to_pylist(), part.batch.column("b").to_pylist(), strict=True
        )
    ]
    assert read == list(enumerate(rows))


def test_error_line_counts_from_the_start_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("a,b\n1,1\n2,2\n3,3\n4,four\n5,5\n")
    last = spans(path, 14)[-1]
    assert last == "14-27"
    (rows,) = text_blocks(path, NAMED, ("a", "b"), last)
    with pytest.raises(InputError, match="log: line 5: column 'b': 'four'; wanted an integer"):
        rows.integers("b")


def test_empty_line_is_a_row_and_keeps_the_count(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("1,2\n\n3,4\n")
    (rows,) = text_blocks(path, PAIR, ("a", "b"))
    with pytest.raises(InputError, match="log: line 2: column 'a': ''; wanted an integer"):
        rows.integers("a")


def test_compressed_file_is_one_range(tmp_path: Path) -> None:
    path = tmp_path / "log.gz"
    path.write_bytes(gzip.compress(b"1,x\n2,y\n"))
    (span,) = spans(path, 4)
    (rows,) = text_blocks(path, PAIR, ("a",), span)
    assert rows.integers("a").to_pylist() == [1, 2]


def test_values_and_missing_values(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("1,-1\n0,2.5\n1,\n")
    (rows,) = text_blocks(path, PAIR, ("a", "b"))
    assert rows.flags("a").to_pylist() == [True, False, True]
    assert rows.floats("b", ("", "-1")).to_pylist() == [None, 2.5, None]
    assert rows.text("b").to_pylist() == ["-1", "2.5", None]


@pytest.mark.parametrize(
    ("text", "layout", "message"),
    [
        ("1,2\n3\n", PAIR, r"log: .*Expected 2 columns, got 1.*wanted 2 columns: a, b"),
        ("a;b\n1;2\n", NAMED, r"log: line 1: no column 'a' in the header 'a;b'; wanted a, b"),
        ("", PAIR, r"log: .*[Ee]mpty.*wanted 2 columns"),
    ],
)
def test_broken_files(tmp_path: Path, text: str, layout: Layout, message: str) -> None:
    path = tmp_path / "log"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        list(text_blocks(path, layout, ("a", "b"), spans(path)[0]))


def test_truncated_gzip(tmp_path: Path) -> None:
    path = tmp_path / "log.gz"
    path.write_bytes(gzip.compress(b"1,x\n" * 9999)[:40])
    with pytest.raises(InputError, match=r"log\.gz: "):
        list(text_blocks(path, PAIR, ("a", "b")))


def test_flag_that_is_neither_0_nor_1(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("1,x\n2,y\n")
    (rows,) = text_blocks(path, PAIR, ("a", "b"))
    with pytest.raises(InputError, match="line 2: column 'a': '2'; wanted 0 or 1"):
        rows.flags("a")
