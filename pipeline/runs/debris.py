"""What a killed run leaves behind, taken away by the next one in the folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LEFTOVERS = (".temp", ".temp_path", "beam-temp-")
"""What the names of TFX's and Beam's folders for half-written results begin with."""


def remove_debris(artifacts: Path) -> None:
    """Deletes half-written results; only while no run is going on there."""
    for parent, folders, _ in os.walk(artifacts):
        for name in [n for n in folders if n.startswith(LEFTOVERS)]:
            folders.remove(name)
            shutil.rmtree(Path(parent, name))


@contextmanager
def temporary_files(out: Path) -> Iterator[Path]:
    """Within the block libraries put their temporary files into a folder of this output folder.

    TensorFlow writes a file for each function that it traces, and a process that is killed leaves
    them all. The folder lies where temporary files belong, under a name that the next run of the
    same output folder knows.
    """
    digest = hashlib.sha256(os.fsencode(out.absolute())).hexdigest()[:16]
    system = tempfile.gettempdir()
    folder = Path(system, f"hardtower-{os.getuid()}-{digest}")
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(mode=0o700)
    named = os.environ.get("TMPDIR")
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    try:
        yield folder
    finally:
        tempfile.tempdir = system
        if named is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = named
        shutil.rmtree(folder, ignore_errors=True)
