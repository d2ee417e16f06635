"""Parquet files whose damage pyarrow does not see."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from common.files.arrow import parquet_batches
from schemas.errors import InputError

COLUMNS = ("a", "b")


class Short:
    """A file of ten rows, column b of fewer values, batch by batch as pyarrow gives it out.

    It reads `size` values of each column, gives them out in chunks no longer than `group`, as many
    as every column has, and then looks for the next chunk of the column that has no more.
    """

    def __init__(self, b: int, group: int = 10) -> None:
        self.metadata = SimpleNamespace(num_rows=10)
        self._lengths = {"a": 10, "b": b}
        self._group = group

    def iter_batches(self, size: int, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        for start in range(0, self._lengths[columns[0]], size):
            ends = {min(start + size, max(start, self._lengths[name])) for name in columns}
            for first in range(start, min(ends), self._group) or [start]:
                values = pa.array(range(first, min(first + self._group, min(ends))), pa.int64())
                yield pa.RecordBatch.from_arrays([values] * len(columns), list(columns))
            if len(ends) > 1:
                raise AssertionError("here pyarrow reads beyond the column's end")


@pytest.mark.parametrize(("size", "group"), [(100, 10), (10, 10), (4, 10), (100, 3), (4, 3)])
def test_whole_files_are_read_whatever_their_batches(size: int, group: int) -> None:
    whole = Short(10, group)
    batches = parquet_batches("f.parquet", whole, COLUMNS, size)  # type: ignore[arg-type]
    assert [n for batch in batches for n in batch.column(0).to_pylist()] == list(range(10))


@pytest.mark.parametrize("size", [100, 10, 4])
@pytest.mark.parametrize("b", [0, 1, 4, 5, 9])
def test_a_column_that_ends_early_is_named_before_it_is_read_beyond(b: int, size: int) -> None:
    wanted = r"^f\.parquet: damaged: (column b has \d values for 10 rows|\d+ rows fewer)"
    with pytest.raises(InputError, match=wanted):
        list(parquet_batches("f.parquet", Short(b), COLUMNS, size))  # type: ignore[arg-type]


FLIP = """
import sys
import pyarrow.parquet as pq
from common.files.arrow import parquet_batches
from schemas.errors import InputError
whole = open(sys.argv[1], "rb").read()
taken = refused = 0
for place in range(4, len(whole) - 8, int(sys.argv[2])):
    for mask in (0x01, 0xFF):
        changed = bytearray(whole)
        changed[place] ^= mask
        open(sys.argv[1], "wb").write(changed)
        try:
            file = pq.ParquetFile(sys.argv[1])
        except Exception:
            continue
        if file.metadata.num_rows > 1000 or not {"a", "b"} <= set(file.schema_arrow.names):
            continue
        try:
            rows = [b.num_rows for b in parquet_batches(sys.argv[1], file, ("a", "b"), 64)]
            assert sum(rows) == file.metadata.num_rows
            taken += 1
        except InputError as error:
            assert str(error).startswith(sys.argv[1])
            refused += 1
print(taken, refused)
"""


@pytest.mark.parametrize("compression", ["none", "snappy"])
def test_no_flipped_byte_kills_the_process(tmp_path: Path, compression: str) -> None:
    table = pa.table(
        {
            "a": pa.array([None if i % 5 == 0 else i * 7 for i in range(90)], pa.int64()),
            "b": [f"text {i % 11}" for i in range(90)],
        }
    )
    path = tmp_path / "clicks.parquet"
    pq.write_table(table, path, compression=compression, row_group_size=30)
    done = subprocess.run(
        [sys.executable, "-c", FLIP, str(path), "3"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    taken, refused = map(int, done.stdout.split())
    assert taken > 50
    assert refused > 50
