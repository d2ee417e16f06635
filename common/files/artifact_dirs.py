"""Artifacts as folders on this machine, for code that reads them with plain file calls."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfx.dsl.io import fileio
from tfx.utils import io_utils


@contextmanager
def local_dir(uri: str) -> Iterator[Path]:
    """The folder at `uri`; a temporary copy of it where `uri` names a bucket."""
    if "://" not in uri:
        yield Path(uri)
        return
    with tempfile.TemporaryDirectory() as folder:
        if fileio.exists(uri):
            io_utils.copy_dir(uri, folder)
        yield Path(folder)
