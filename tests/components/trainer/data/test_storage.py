"""Arrays on disk hold what arrays in memory hold, leave nothing behind and take no memory."""

import errno
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.trainer.data import storage as module
from components.trainer.data.storage import MEMORY, Array, Disk, Storage, pieces
from schemas.errors import InputError


@pytest.fixture(params=["memory", "disk"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    return MEMORY if request.param == "memory" else Disk(str(tmp_path))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 7)
    monkeypatch.setattr(module, "EXTENT", 4096)
    monkeypatch.setattr(module, "HELD", 0)


@pytest.mark.parametrize(
    "values",
    [
        np.arange(60, dtype=np.int32).reshape(20, 3),
        np.linspace(0, 1, 33, dtype=np.float32),
        np.arange(25) % 3 == 0,
        np.empty((0, 3), np.int32),
        np.empty((5, 0), np.float32),
    ],
    ids=["ids", "numbers", "flags", "no rows", "no columns"],
)
def test_rows_come_back_as_they_were_added(storage: Storage, values: Array) -> None:
    written = storage.rows(values.shape[1:], values.dtype, len(values) + 4)
    for rows in pieces(len(values)):
        written.append(values[rows])
    found = written.finish()
    assert found.dtype == values.dtype
    np.testing.assert_array_equal(found, values)


def test_rows_are_taken_by_number_and_by_mask(storage: Storage) -> None:
    values = np.random.default_rng(1).integers(0, 100, (40, 2))
    numbers = np.array([39, 0, 7, 7, 21, 3, 3, 14, 8])
    np.testing.assert_array_equal(storage.take(values, numbers), [values[i] for i in numbers])
    mask = values[:, 0] % 3 == 0
    wanted = [row for row in values.tolist() if row[0] % 3 == 0]
    assert storage.take(values, mask).tolist() == wanted


def test_arrays_do_not_share_their_places(storage: Storage) -> None:
    """Small ones, which lie in one file, and one that is larger than such a file."""
    shapes: list[tuple[Any, Any]] = [((3,), np.uint8), ((5, 2), np.float64), ((), np.float32)]
    shapes += [((700, 2), np.float64), ((0, 4), np.intp), ((200,), np.intp)] * 3
    arrays = [storage.empty(*of) for of in shapes]
    for number, values in enumerate(arrays):
        values[...] = number
    storage.release()
    for number, (values, (shape, dtype)) in enumerate(zip(arrays, shapes, strict=True)):
        assert (values.shape, values.dtype) == (shape, dtype)
        assert (values == number).all()
        assert values.ctypes.data % np.dtype(dtype).itemsize == 0


def test_nothing_is_left_in_the_folder(tmp_path: Path) -> None:
    disk = Disk(str(tmp_path))
    values = disk.take(np.arange(100), np.arange(50))
    other = disk.empty((2000,), np.float64)
    assert not list(tmp_path.iterdir())
    assert (len(values), len(other)) == (50, 2000)


def anonymous() -> int:
    """Bytes of this process's memory that are of no file."""
    status = Path("/proc/self/status").read_text()
    (found,) = re.findall(r"RssAnon:\s+(\d+) kB", status)
    return int(found) * 1024


def mapped() -> int:
    """Bytes of this process's memory that are of some file."""
    (found,) = re.findall(r"RssFile:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found) * 1024


def test_what_lies_on_disk_takes_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """64 MB are written row by row and at random places, and read; 4 MB is what is let pass."""
    monkeypatch.setattr(module, "AT_ONCE", 2**16)
    monkeypatch.setattr(module, "HELD", 2**25)
    disk, size = Disk(str(tmp_path)), 2**23
    before, of_files = anonymous(), mapped()
    written = disk.rows((), np.float64, size)
    for rows in pieces(size):
        written.append(np.arange(rows.start, rows.stop, dtype=np.float64))
    values, other = written.finish(), disk.empty((size,), np.float64)
    other[:] = values
    assert float(other @ values) == pytest.approx(size**3 / 3, rel=1e-6)
    held = mapped() - of_files
    assert held > 2**26
    monkeypatch.setattr(module, "HELD", 2 * held)
    disk.release()
    assert mapped() - of_files > 2**26
    monkeypatch.setattr(module, "HELD", 2**25)
    disk.release()
    assert anonymous() - before < 2**22
    assert mapped() - of_files < 2**22


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"training.input_dir: .*/none': No such file.*that can be written to"
    ):
        Disk(str(tmp_path / "none"))


def test_a_full_disk_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    disk = Disk(str(tmp_path))
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(InputError, match=r"No space left.*room for another 8,000,000 bytes"):
        disk.empty((1_000_000,), np.float64)
