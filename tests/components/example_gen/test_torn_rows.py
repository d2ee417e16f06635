"""Rows whose values cannot be told apart cost themselves and no other."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import random
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import tensorflow as tf
from hypothesis import example, given
from hypothesis import strategies as st

from components.example_gen.readers import plain
from components.example_gen.readers.normalise import normalise
from components.example_gen.readers.plain import QuoteMarks, open_source
from components.example_gen.readers.source import Window
from components.example_gen.shard import ingest_shard
from schemas.contract import Contract
from schemas.errors import InputError

NOON = 1_483_272_000  # 2017-01-01 12:00 UTC
COLUMNS = ("note", "time", "label", "shop")
WINDOW = Window(date(2017, 1, 1), date(2017, 1, 3))


def contract(form: str, **layout: Any) -> Contract:
    return Contract.model_validate(
        {
            "name": "torn",
            "description": "rows written by hand",
            "input": {"format": form, "pattern": "clicks.*", "csv": layout},
            "attribution_window_days": 1,
            "roles": {"timestamp": "time", "label": "label", "setup": ["shop"]},
            "features": {"categorical": [{"name": "shop", "buckets": 10}]},
        }
    )


def read(terms: Contract, folder: Path) -> tuple[list[tuple[Any, ...] | None], list[str]]:
    """Rows in their order, None where one is torn; and what is said of these."""
    source = open_source(terms, folder, WINDOW)
    rows: list[tuple[Any, ...] | None] = []
    words: list[str] = []
    for batch in source.read(source.shards()[0]):
        found = normalise(batch, terms, "clicks")
        for i, row in enumerate(found.batch.to_pylist()):
            broken = [f for f in found.broken_rules(terms) if f.rows[i]]
            rows.append(None if broken else (row["time"], row["label"], row["shop"]))
            words += [fault.words(found.batch, i) for fault in broken]
    return rows, words


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("header", [True, False])
def test_torn_rows_stand_where_python_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, header: bool
) -> None:
    """Blocks of a few rows, quoted line breaks, blank lines, and torn rows next to one another."""
    monkeypatch.setattr(plain, "BLOCK_BYTES", 512)
    rng = random.Random(seed)
    text = io.StringIO()
    out = csv.writer(text)
    if header:
        out.writerow(COLUMNS)
    for i in range(300):
        row: list[Any] = [rng.choice(("", "x", "a\nb", 'q "1", 2\n\n')), NOON + i, i % 2, f"s{i}"]
        if rng.random() < rng.choice((0.02, 0.8)):
            row = rng.choice((row[:-1], row[:1], [*row, "more"], [*row, *row]))
        out.writerow(row if row != [""] else ["x"])
        if rng.random() < 0.1:
            text.write("\r\n")
    (tmp_path / "clicks.csv").write_text(text.getvalue(), newline="")
    layout = {} if header else {"columns": COLUMNS}
    rows, words = read(contract("csv", **layout), tmp_path)
    wanted = [r for r in csv.reader(io.StringIO(text.getvalue(), newline="")) if r][header:]
    lines = [1 + sum(value.count("\n") for value in r) for r in wanted]
    parted: list[Any] = []
    counts: list[int] = []
    for row, n in zip(wanted, lines, strict=True):
        if len(row) == len(COLUMNS):
            parted.append((int(row[1]), int(row[2]), row[3]))
        else:
            parted += [None] * n
            counts += [len(row)] * n
    assert rows == parted
    assert [int(line.split()[1]) for line in words] == counts


@pytest.mark.parametrize("end", [5, 8, 11, 13])
@pytest.mark.parametrize("name", ["clicks.tfrecord", "clicks.tfrecord.gz"])
def test_a_file_that_ends_within_a_head_is_cut(tmp_path: Path, name: str, end: int) -> None:
    """TensorFlow takes a record of which less than its head is there for the file's end."""
    feature = {
        "time": tf.train.Feature(int64_list=tf.train.Int64List(value=[NOON])),
        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[0])),
        "shop": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"a"])),
    }
    record = tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()
    whole = tmp_path / "whole"
    with tf.io.TFRecordWriter(str(whole)) as writer:
        writer.write(record)
    framed = whole.read_bytes()
    whole.unlink()
    terms = contract("tfrecord")
    for content, sound in ((framed * 2, True), (framed + framed[:end], False)):
        data = gzip.compress(content) if name.endswith(".gz") else content
        (tmp_path / name).write_bytes(data)
        if sound:
            assert len(read(terms, tmp_path)[0]) == 2
        else:
            with pytest.raises(InputError, match=f"{name}: .*(cut|corrupt|trunc)"):
                read(terms, tmp_path)


def test_a_torn_row_is_counted_named_and_written_aside(tmp_path: Path) -> None:
    rows = [f"x,{NOON + i},0,a" for i in range(20)]
    rows[2], rows[19] = 'y,"1\n2"', "z" * 200
    path = tmp_path / "clicks.csv"
    path.write_text("\n".join([",".join(COLUMNS), *rows]))
    terms = contract("csv")
    report = ingest_shard(
        open_source(terms, tmp_path, WINDOW), str(path), 0, 1, terms, WINDOW,
        str(tmp_path / "Split-log"), str(tmp_path / "rejected"),
    )  # fmt: skip
    assert (report.rows, report.rejected, report.outside) == (21, 3, 0)
    assert report.rules == {"row: wanted one value for each column": 3}
    assert report.first_fault == (
        f"{path}: row 3, seen 2 fields for 4 columns over 2 lines: 'y,\"1\\n2\"', "
        "wanted one value for each column"
    )
    aside = pa.parquet.read_table(tmp_path / "rejected").to_pylist()
    assert [row["row"] for row in aside] == [3, 4, 21]
    assert aside[2]["fault"] == (
        f"seen 1 fields for 4 columns: '{'z' * 80}'..., wanted one value for each column"
    )


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_torn_row_that_is_not_text_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "clicks.csv"
    path.write_bytes(b"note,time,label,shop\nx,%d,0,a\n\xff\n" % NOON)
    with pytest.raises(InputError, match=r"clicks.csv: .*Row #3: Expected 4 columns, got 1"):
        read(contract("csv"), tmp_path)


@pytest.mark.parametrize("row", ['"x,1,0,a', 'x,{time},0,"a', '"'])
@pytest.mark.parametrize("packed", [False, True])
def test_a_file_that_ends_within_quotes_is_refused(tmp_path: Path, row: str, packed: bool) -> None:
    rows = [",".join(COLUMNS), *(f"x,{NOON + i},0,a" for i in range(9))]
    rows[5] = row.format(time=NOON)
    text = "\n".join(rows).encode()
    path = tmp_path / f"clicks.csv{'.gz' if packed else ''}"
    path.write_bytes(gzip.compress(text) if packed else text)
    with pytest.raises(InputError, match=rf"{path.name}: ends within quotes"):
        read(contract("csv"), tmp_path)


def marked_slowly(text: str) -> str:
    """Letter by letter: `!` between a closing quote and what is no end of its field."""
    out, state = "", "start"
    for letter in text:
        if state == "closed" and letter not in ',\r\n"':
            out += "!"
        if state == "quoted":
            state = "closed" if letter == '"' else "quoted"
        elif letter in ",\r\n":
            state = "start"
        elif letter == '"' and state in ("start", "closed"):
            state = "quoted"
        else:
            state = "plain"
        out += letter
    return out


@given(text=st.text('a\\",\r\n', max_size=40), cuts=st.lists(st.integers(0, 40), max_size=5))
@example(text='"i\\"os","",a"b"c\n"a,"b', cuts=[3, 4, 5])
def test_quotes_are_marked_wherever_the_text_is_cut(text: str, cuts: list[int]) -> None:
    marks = QuoteMarks(",", b"!")
    places = [0, *sorted(cuts), len(text)]
    pieces = [text[a:b].encode() for a, b in itertools.pairwise(places) if a < b]
    found = b"".join(map(marks.marked, pieces)) + marks.held
    assert found.decode() == marked_slowly(text)


BEHIND_QUOTES = [r'"i\"os"', '"i"os', r'"say \"hi\", he"', '"" ']


@pytest.mark.parametrize("value", BEHIND_QUOTES)
@pytest.mark.parametrize("packed", [False, True])
def test_text_behind_a_closing_quote_costs_its_row(
    tmp_path: Path, value: str, packed: bool
) -> None:
    lines = [f"x,{NOON + i},0,a" for i in range(9)]
    lines[4] = f"{value},{NOON + 4},0,a"
    text = "\n".join([",".join(COLUMNS), *lines]).encode()
    path = tmp_path / f"clicks.csv{'.gz' if packed else ''}"
    path.write_bytes(gzip.compress(text) if packed else text)
    rows, words = read(contract("csv"), tmp_path)
    assert rows == [None if i == 4 else (NOON + i, 0, "a") for i in range(9)]
    [fault] = words
    assert fault.startswith(f"seen text behind a closing quote: {lines[4]!r}, wanted one value")


@pytest.mark.parametrize("value", ['"i""os"', '5" pipe', "o'x", '"a,b"', r"i\"os"])
def test_other_quotes_are_sound(tmp_path: Path, value: str) -> None:
    lines = [f"x,{NOON + i},0,{value}" for i in range(3)]
    (tmp_path / "clicks.csv").write_text("\n".join([",".join(COLUMNS), *lines]))
    shop = next(csv.reader([value]))[0]
    rows, words = read(contract("csv"), tmp_path)
    assert [row[2] for row in rows if row] == [shop] * 3, words


def test_a_quoted_value_that_ends_in_an_escaped_quote_takes_in_the_next_rows(
    tmp_path: Path,
) -> None:
    lines = [f'"x",{NOON + i},0,a' for i in range(9)]
    lines[4] = rf'"x\"",{NOON + 4},0,a'
    (tmp_path / "clicks.csv").write_text("\n".join([",".join(COLUMNS), *lines]))
    rows, words = read(contract("csv"), tmp_path)
    assert rows == [None if i in (4, 5) else (NOON + i, 0, "a") for i in range(9)]
    assert words[0].startswith("seen text behind a closing quote over 2 lines: ")


def test_a_quoted_value_without_measure_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain, "BLOCK_BYTES", 512)
    monkeypatch.setattr(plain, "LONGEST_QUOTED", 4 * 512)
    lines = [f"x,{NOON + i},0,a" for i in range(999)]
    lines[300] = '"' + lines[300]
    (tmp_path / "clicks.csv").write_text("\n".join([",".join(COLUMNS), *lines]))
    with pytest.raises(InputError, match=r"clicks.csv: a value of more than 2,048 bytes within"):
        read(contract("csv"), tmp_path)


def test_names_with_text_behind_a_closing_quote_are_refused(tmp_path: Path) -> None:
    head = ",".join(COLUMNS).replace("note", '"no"te')
    (tmp_path / "clicks.csv").write_text(f"{head}\nx,{NOON},0,a\n")
    with pytest.raises(InputError, match=r"clicks.csv: line 1: .* expected after"):
        read(contract("csv"), tmp_path)


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
def test_a_file_of_names_alone_holds_no_row(tmp_path: Path, end: str) -> None:
    (tmp_path / "clicks.csv").write_text(",".join(COLUMNS) + end, newline="")
    assert read(contract("csv"), tmp_path) == ([], [])


def test_two_values_of_a_feature_cost_their_example(tmp_path: Path) -> None:
    with tf.io.TFRecordWriter(str(tmp_path / "clicks.tfrecord")) as writer:
        for shops in (["a"], ["b", "c"], ["d"]):
            raw = [s.encode() for s in shops]
            feature = {
                "time": tf.train.Feature(int64_list=tf.train.Int64List(value=[NOON])),
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[0])),
                "shop": tf.train.Feature(bytes_list=tf.train.BytesList(value=raw)),
            }
            example = tf.train.Example(features=tf.train.Features(feature=feature))
            writer.write(example.SerializeToString())
    rows, words = read(contract("tfrecord"), tmp_path)
    assert rows == [(NOON, 0, "a"), None, (NOON, 0, "d")]
    assert words == ["seen 2 values of shop, wanted one value for each column"]
