"""The metadata store of an output folder, looked at before anything rests on it.

Each execution writes to folders named by its number in the store: `artifacts/<component>/<output>/
<number>`. A store that is lost, or put back from an older copy, would give numbers out again, and
new results would land among old ones.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from schemas.errors import InputError

STORE_FILE = "metadata.sqlite"
ARTIFACTS = "artifacts"
FOLDERS = (ARTIFACTS, "serving")
CHECKPOINTS = "checkpoints"
"""The one folder among the artifacts whose subfolders no execution names."""

PATIENCE = 10.0
"""Seconds to wait for a process that writes to the store."""

_RESULTS = (
    "SELECT DISTINCT Artifact.id, uri FROM Artifact JOIN Event ON artifact_id = Artifact.id "
    "WHERE Event.type = 4"
)
"""Artifacts that executions put out, by `ml_metadata`'s `Event.OUTPUT`."""


def check_store(out: Path) -> None:
    """Refuses a folder whose store is damaged, or does not know results that lie there, and one in
    which something else lies where the run is going to write.

    Raises:
      InputError: the message says what to move; nothing has been changed.
    """
    store = out / STORE_FILE
    for place, right in ((store, store.is_file), *((out / n, (out / n).is_dir) for n in FOLDERS)):
        if os.path.lexists(place) and not right():
            kind = "file" if place == store else "folder"
            raise InputError(f"{place}: not a {kind}; wanted one, or nothing in this place")
    last = _last_execution(store) if store.is_file() else 0
    results = [(int(path.name), path) for path in _numbered(out / ARTIFACTS)]
    unknown = [path for number, path in results if number > last]
    if unknown:
        raise InputError(
            f"{store}: {f'knows {last} executions' if last else 'lost'}, yet {unknown[0]} holds "
            f"results of a later one [{len(unknown)} such folders]; wanted the store that they "
            f"were made with, or {out / ARTIFACTS} moved away: runs/ and serving/ can stay, and "
            "the next run computes all else again"
        )


def refuse_broken(store: Path) -> None:
    """
    Raises:
      InputError: not a sound metadata store.
    """
    if not store.is_file():
        raise InputError(f"no file {store}; wanted the output folder of a local run")
    _last_execution(store)


def follow_move(out: Path) -> Path | None:
    """Makes the store of a folder that was copied or moved name its results where they lie now.

    The store has them by absolute paths: a run in a copy would otherwise go on from the results in
    the folder that was copied, and one in a folder that was moved from none.

    Args:
      out: whose store `check_store` found sound; nobody else may write to it.

    Returns:
      The folder that the store named; None where it named this one.
    """
    store, home = out / STORE_FILE, None
    if not store.is_file():
        return None
    with closing(sqlite3.connect(store, timeout=PATIENCE)) as opened, opened:
        for number, uri in opened.execute(_RESULTS).fetchall() if _has_tables(opened) else ():
            if (now := place_here(out, uri)) == uri:
                continue
            home = _home(Path(uri)) or home
            opened.execute("UPDATE Artifact SET uri = ? WHERE id = ?", (now, number))
            opened.execute(
                "UPDATE ArtifactProperty SET string_value = ? || substr(string_value, ?) "
                "WHERE artifact_id = ? AND substr(string_value, 1, ?) = ?",
                (str(out.absolute()), len(str(home)) + 1, number, len(str(home)) + 1, f"{home}/"),
            )
    return home


def place_here(out: Path, uri: str) -> str:
    """Where a result lies that the store names, be the output folder copied or moved."""
    path = Path(uri)
    home = _home(path)
    if home is None or home.resolve() == out.resolve():
        return uri
    return str(out.absolute() / path.relative_to(home))


def _home(result: Path) -> Path | None:
    """The output folder of a result, by its path."""
    return next((p.parent for p in result.parents if p.name == ARTIFACTS), None)


def _has_tables(opened: sqlite3.Connection) -> bool:
    return opened.execute("SELECT 1 FROM sqlite_master").fetchone() is not None


def _last_execution(store: Path) -> int:
    """The highest number of an execution; 0 where there is none yet."""
    try:
        # Not read-only: of a process that was killed, SQLite first takes back the half transaction.
        place = f"{store.absolute().as_uri()}?mode=rw"
        with closing(sqlite3.connect(place, timeout=PATIENCE, uri=True)) as opened:
            if not _has_tables(opened):
                return 0
            [state] = opened.execute("PRAGMA quick_check(1)").fetchone()
            if state != "ok":
                raise sqlite3.DatabaseError(state)
            # Numbers of executions that were deleted are not given out again either.
            [last] = opened.execute(
                "SELECT max(seq) FROM sqlite_sequence WHERE name = 'Execution'"
            ).fetchone()
            return int(last or 0)
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise InputError(
                f"{store}: locked by another process for {PATIENCE:g} s; wanted it free"
            ) from None
        reason = " ".join(str(error).split())
        raise InputError(
            f"{store}: not a sound metadata store: {reason}; wanted a copy of it put back, or it "
            f"and {store.parent / ARTIFACTS} moved away, both: runs/ and serving/ can stay, and "
            "the next run computes all else again"
        ) from None


def _numbered(artifacts: Path) -> list[Path]:
    folders = artifacts.glob("*/*/*")
    return sorted(
        path
        for path in folders
        if path.name.isdecimal() and path.parent.parent.name != CHECKPOINTS and any(path.iterdir())
    )
