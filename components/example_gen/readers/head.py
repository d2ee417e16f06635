"""What a file's first bytes and its columns' names say, before it is read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from schemas.errors import InputError

HEAD_BYTES = 4096
_MAGIC = {
    b"\x1f\x8b": ("gzip", (".gz",)),
    b"BZh": ("bzip2", (".bz2",)),
    b"\x28\xb5\x2f\xfd": ("Zstandard", (".zst",)),
    b"\x04\x22\x4d\x18": ("LZ4", (".lz4",)),
    b"PAR1": ("Parquet", (".parquet",)),
    b"PK\x03\x04": ("ZIP", (".zip",)),
}
"""First bytes -> what they are, and how the names of such files end."""

_COMPRESSED = (".gz", ".bz2", ".zst", ".lz4")


def is_log_file(path: Path, folders: bool) -> bool:
    """Whether a path that a log's pattern finds is a file; the rest would be rows left out unseen.

    Args:
      folders: whether the pattern finds folders besides the files in them.

    Raises:
      InputError: it is a link to nothing, a pipe, or a folder where `folders` is false.
    """
    if path.is_file():
        return True
    if folders and path.is_dir():
        return False
    if path.is_symlink() and not path.exists():
        seen = f"a link to {os.readlink(path)}, which is not there"
    else:
        seen = "a folder" if path.is_dir() else "a pipe, a socket or a device"
    raise InputError(f"{path}: {seen}; wanted a file of the log")


def check_compression(path: str) -> None:
    """Proves that a file of text or records is compressed as its name ends, or not at all.

    Raises:
      InputError: the name says another thing than the first bytes, or it cannot be read.
    """
    head = _head(path)
    ending = Path(path).suffix
    for magic, (kind, endings) in _MAGIC.items():
        if head.startswith(magic) and ending not in endings:
            raise InputError(
                f"{path}: the content is {kind}; wanted a name that ends in {endings[0]}, or the "
                "plain file"
            )
        if ending in endings and ending in _COMPRESSED and not head.startswith(magic):
            raise InputError(
                f"{path}: the name ends in {ending}, the content is not {kind}; wanted both alike"
            )


def check_text(path: str, encoding: str = "utf-8") -> None:
    """As `check_compression`, and raises `InputError` also for text in UTF-16 or UTF-32 in the
    place of UTF-8."""
    check_compression(path)
    if encoding != "utf-8":
        return
    head = _head(path)
    zeros = 0 if Path(path).suffix in _COMPRESSED else head.count(0)
    # Of Latin text in UTF-16 every second byte is 0.
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or 3 * zeros > len(head):
        raise InputError(
            f"{path}: text in UTF-16 or bytes of no text; wanted UTF-8 (`iconv -t UTF-8` makes it)"
        )
    if zeros:
        raise InputError(f"{path}: a NUL at byte {head.index(0)}; wanted text, which has none")


def check_columns(path: str, seen: Sequence[str], wanted: Sequence[str]) -> None:
    """Proves that a file has each column once.

    Raises:
      InputError: one is missing, or there twice, when nothing says which is meant.
    """
    if missing := [c for c in wanted if c not in seen]:
        raise InputError(
            f"{path}: column {', '.join(missing)} is missing; the file has: {', '.join(seen)}"
        )
    if twice := [c for c in wanted if list(seen).count(c) > 1]:
        raise InputError(f"{path}: column {', '.join(twice)} is there more than once; wanted one")


def _head(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(HEAD_BYTES)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
