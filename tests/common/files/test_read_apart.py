"""Parquet files read by another process, which may die of them."""

from __future__ import annotations

import sys
import time
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from common.files import apart
from common.files.apart import foreign_batches, foreign_table
from common.files.arrow import parquet_table
from schemas.errors import InputError


@pytest.fixture
def log(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    text = pa.array([b"caf\xe9" if i % 9 == 0 else f"t{i % 4}".encode() for i in range(1000)])
    table = pa.table(
        {
            "n": pa.array(rng.integers(0, 99, 1000), mask=rng.random(1000) < 0.2),
            "x": rng.random(1000),
            "coded": pa.array([f"c{i % 5}" for i in range(1000)]).dictionary_encode(),
            "many": [[i, i] for i in range(1000)],
            "text": pa.chunked_array([text]).cast(pa.string(), safe=False),
        }
    )
    path = tmp_path / "clicks.parquet"
    pq.write_table(table, path, row_group_size=300)
    return path


def test_the_rows_are_those_of_the_file(log: Path) -> None:
    wanted = pq.read_table(log)
    found = foreign_table(str(log))
    assert found.schema.names == wanted.schema.names
    for name in ("n", "x", "many"):
        assert found[name].combine_chunks().equals(wanted[name].combine_chunks())
    assert found["coded"].to_pylist() == wanted["coded"].to_pylist()
    # What is not UTF-8 comes through, to be judged row by row.
    assert found["text"].cast(pa.binary()).equals(wanted["text"].cast(pa.binary()))
    some = list(foreign_batches(str(log), ["x", "n"], 100))
    assert {batch.num_rows for batch in some} == {100}
    assert pa.Table.from_batches(some).to_pydict() == wanted.select(["x", "n"]).to_pydict()


def test_a_file_without_rows_has_its_columns(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": pa.array([], pa.int64())}), tmp_path / "a.parquet")
    assert foreign_table(str(tmp_path / "a.parquet")).schema == pa.schema([("a", pa.int64())])


def test_a_reader_serves_again_after_errors_and_after_nobody_listens_any_more(log: Path) -> None:
    bad = log.with_name("bad.parquet")
    bad.write_bytes(log.read_bytes()[:-20])
    for _ in range(2):
        with pytest.raises(InputError, match=r"bad\.parquet: not a Parquet file"):
            list(foreign_batches(str(bad), ["n"], 10))
        half = foreign_batches(str(log), ["n"], 10)
        next(half)
        half.close()
        assert sum(b.num_rows for b in foreign_batches(str(log), ["n"], 10)) == 1000
    one, other = (foreign_batches(str(log), ["n"], 500) for _ in range(2))
    assert next(one).equals(next(other))
    assert next(one).equals(next(other))


DEATHS = {
    "at once": "",
    "amid a batch": "sys.stdout.buffer.write(b'B' + (99).to_bytes(8, 'little') + b'half');",
}


@pytest.mark.parametrize("case", DEATHS)
def test_the_file_of_which_a_reader_dies_is_named(
    log: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    does = f"sys.stdin.readline(); {DEATHS[case]} sys.stdout.flush(); os.kill(os.getpid(), 11)"
    code = f"import os, sys; {does}"
    monkeypatch.setattr(apart, "COMMAND", (sys.executable, "-c", code))
    monkeypatch.setattr(apart, "_idle", [])
    wanted = r"clicks\.parquet: damaged: pyarrow ended with SIGSEGV while it read it"
    with pytest.raises(InputError, match=wanted):
        list(foreign_batches(str(log), ["n"], 10))


def test_a_reader_that_has_ended_itself_is_replaced(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "from common.files import apart; import sys; apart.IDLE_SECONDS = 0.1; apart.main()"
    monkeypatch.setattr(apart, "COMMAND", (sys.executable, "-c", code))
    monkeypatch.setattr(apart, "_idle", [])
    for _ in range(2):
        assert sum(b.num_rows for b in foreign_batches(str(log), ["n"], 500)) == 1000
        time.sleep(0.5)


def test_far_years_in_int96_are_what_they_say(tmp_path: Path) -> None:
    path = tmp_path / "spark.parquet"
    moments = [datetime(2610, 7, 1), datetime(1441, 6, 5), datetime(2026, 1, 2, 3, 4, 5, 678_901)]
    times = pa.table({"t": pa.array(moments, pa.timestamp("us"))})
    pq.write_table(times, path, use_deprecated_int96_timestamps=True)
    assert pq.ParquetFile(path).schema.column(0).physical_type == "INT96"
    for table in (foreign_table(str(path)), parquet_table(path)):
        assert table["t"].to_pylist() == moments
