"""Metadata stores that are lost, old or damaged, and what killed runs leave behind."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2
from small_log import contents

from pipeline.runs.debris import remove_debris, temporary_files
from pipeline.runs.store import check_store, follow_move, place_here, refuse_broken
from schemas.errors import InputError

EXECUTIONS = 40


def execute(out: Path, times: int) -> None:
    """As the pipeline does: an execution in the store, then its folder."""
    connection = metadata_store_pb2.ConnectionConfig()
    connection.sqlite.filename_uri = str(out / "metadata.sqlite")
    store = metadata_store.MetadataStore(connection)
    kind = store.put_execution_type(metadata_store_pb2.ExecutionType(name="TaskLabeler"))
    made = metadata_store_pb2.ArtifactType(name="LabelledColumns")
    made.properties["beside"] = metadata_store_pb2.STRING
    made_id = store.put_artifact_type(made)
    for _ in range(times):
        [number] = store.put_executions([metadata_store_pb2.Execution(type_id=kind)])
        folder = out / "artifacts" / "TaskLabeler" / "labelled_columns" / str(number)
        artifact = metadata_store_pb2.Artifact(type_id=made_id, uri=str(folder))
        artifact.properties["beside"].string_value = str(out / "serving" / "7")
        [result] = store.put_artifacts([artifact])
        event = metadata_store_pb2.Event(
            artifact_id=result, execution_id=number, type=metadata_store_pb2.Event.OUTPUT
        )
        store.put_events([event])
        folder.mkdir(parents=True)
        (folder / "shard").write_text("rows")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An output folder with a store of its own and checkpoints, which no execution names."""
    execute(tmp_path, EXECUTIONS)
    checkpoint = tmp_path / "artifacts" / "checkpoints" / "ab12" / "77"
    checkpoint.mkdir(parents=True)
    (checkpoint / "step").write_text("")
    return tmp_path


def test_a_sound_store_and_a_new_folder_pass(out: Path, tmp_path: Path) -> None:
    check_store(out)
    check_store(tmp_path / "new")
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "metadata.sqlite").touch()
    check_store(tmp_path / "begun")


def places(out: Path) -> set[tuple[str, str]]:
    """Results of the store, and what they name beside."""
    connection = metadata_store_pb2.ConnectionConfig()
    connection.sqlite.filename_uri = str(out / "metadata.sqlite")
    artifacts = metadata_store.MetadataStore(connection).get_artifacts()
    return {(a.uri, a.properties["beside"].string_value) for a in artifacts}


def wanted_places(out: Path) -> set[tuple[str, str]]:
    labels = out / "artifacts" / "TaskLabeler" / "labelled_columns"
    numbers = range(1, EXECUTIONS + 1)
    return {(str(labels / str(n)), str(out / "serving" / "7")) for n in numbers}


def test_the_store_of_a_copy_names_the_copies_results(out: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copies" / "of it"
    shutil.copytree(out, copy, ignore=shutil.ignore_patterns("copies"))
    assert follow_move(copy) == out
    assert places(copy) == wanted_places(copy)
    assert follow_move(copy) is None
    assert places(out) == wanted_places(out)
    assert follow_move(out) is None
    check_store(copy)
    page = out / "artifacts" / "RunReport" / "report" / "3" / "value"
    assert place_here(copy, str(page)) == f"{copy}/artifacts/RunReport/report/3/value"
    assert place_here(copy, "/elsewhere/model") == "/elsewhere/model"


def test_a_folder_by_another_of_its_names_has_not_moved(out: Path, tmp_path: Path) -> None:
    link = tmp_path.parent / f"{tmp_path.name} by link"
    link.symlink_to(out)
    assert follow_move(link) is None
    assert places(out) == wanted_places(out)
    assert follow_move(tmp_path / "new") is None
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "metadata.sqlite").touch()
    assert follow_move(tmp_path / "begun") is None


def older_copy(store: Path) -> None:
    """The store as it was before the last execution."""
    with sqlite3.connect(store) as opened:
        opened.execute("DELETE FROM Execution WHERE id = ?", (EXECUTIONS,))
        opened.execute("UPDATE sqlite_sequence SET seq = seq - 1 WHERE name = 'Execution'")
    opened.close()


def change(store: Path, first: int, last: int) -> None:
    data = bytearray(store.read_bytes())
    data[first:last] = bytes(byte ^ 0xFF for byte in data[first:last])
    store.write_bytes(data)


def cut(store: Path, share: float) -> None:
    os.truncate(store, int(store.stat().st_size * share))


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "lost": (Path.unlink, "lost, yet .*/1 holds .*40 such"),
    "emptied": (lambda store: store.write_bytes(b""), "lost, yet .*/1 holds .*40 such"),
    "older": (older_copy, "knows 39 executions, yet .*/40 holds .*1 such"),
    "half of it": (lambda store: cut(store, 0.5), "not a sound metadata store: .*malformed"),
    "zeroes": (lambda store: store.write_bytes(bytes(65_536)), "not a sound metadata store"),
    "garbage": (lambda store: store.write_bytes(b"\x9f" * 65_536), "not a database"),
    "a damaged page": (lambda store: change(store, 4096, 8192), "not a sound metadata store"),
    "another database": (
        lambda store: (store.unlink(), sqlite3.connect(store).execute("CREATE TABLE t (x)")),
        "no such table: sqlite_sequence",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_results_that_no_store_knows_are_refused_and_kept(out: Path, fault: str) -> None:
    spoil, reason = FAULTS[fault]
    spoil(out / "metadata.sqlite")
    before = contents(out)
    with pytest.raises(InputError, match=rf"{re.escape(str(out))}.*{reason}.*moved away") as caught:
        check_store(out)
    assert "\n" not in str(caught.value)
    assert contents(out) == before


def test_after_what_the_message_says_the_folder_is_new(out: Path) -> None:
    (out / "metadata.sqlite").unlink()
    (out / "artifacts").rename(out / "old")
    check_store(out)


@pytest.mark.parametrize(
    ("name", "make", "kind"),
    [
        ("metadata.sqlite", Path.mkdir, "file"),
        ("metadata.sqlite", lambda path: path.symlink_to("nowhere"), "file"),
        ("artifacts", Path.touch, "folder"),
        ("serving", Path.touch, "folder"),
        ("serving", lambda path: path.symlink_to("nowhere"), "folder"),
    ],
)
def test_what_is_in_the_way_of_a_run_is_named(
    tmp_path: Path, name: str, make: Callable[[Path], None], kind: str
) -> None:
    make(tmp_path / name)
    with pytest.raises(InputError, match=rf"{name}: not a {kind}; wanted one, or nothing"):
        check_store(tmp_path)


def test_later_readers_of_a_broken_store_get_one_line(out: Path) -> None:
    refuse_broken(out / "metadata.sqlite")
    cut(out / "metadata.sqlite", 0.5)
    with pytest.raises(InputError, match=r"metadata\.sqlite: not a sound metadata store"):
        refuse_broken(out / "metadata.sqlite")
    with pytest.raises(InputError, match="no file"):
        refuse_broken(out / "another.sqlite")


def test_a_store_that_stays_locked_is_not_called_damaged(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.runs.store.PATIENCE", 0.1)
    with closing(sqlite3.connect(out / "metadata.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(InputError, match=r"metadata\.sqlite: locked by another process for 0"):
            check_store(out)
    check_store(out)


WRITE = """
import sys
from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2
connection = metadata_store_pb2.ConnectionConfig()
connection.sqlite.filename_uri = sys.argv[1]
store = metadata_store.MetadataStore(connection)
kind = store.put_execution_type(metadata_store_pb2.ExecutionType(name="TaskLabeler"))
for _ in range(100):
    store.put_executions([metadata_store_pb2.Execution(type_id=kind)])
"""


def test_a_store_that_is_written_all_the_while_is_sound(out: Path) -> None:
    """Whoever asks for an earlier run's artifacts does not mistake a lock for damage."""
    store = out / "metadata.sqlite"
    writer = subprocess.Popen([sys.executable, "-c", WRITE, str(store)])

    def look() -> int:
        looks = 0
        while writer.poll() is None:
            refuse_broken(store)
            looks += 1
        return looks

    with ThreadPoolExecutor(4) as pool:
        looks = [done.result() for done in [pool.submit(look) for _ in range(4)]]
    assert writer.wait() == 0
    assert min(looks) > 0
    with closing(sqlite3.connect(store)) as opened:
        [(count,)] = opened.execute("SELECT count(*) FROM Execution")
    assert count == EXECUTIONS + 100


def test_half_written_results_are_swept_and_whole_ones_stay(out: Path) -> None:
    whole = contents(out)
    for place in (
        "Transform/.system/executor_execution/8/.temp/8/analyzer",
        "Transform/transform_graph/8/.temp_path/tftransform_tmp",
        "StatisticsGen/statistics/5/Split-eval/beam-temp-FeatureStats.pb-0a1b",
    ):
        folder = out / "artifacts" / place
        folder.mkdir(parents=True)
        (folder / "part").write_text("half")
    remove_debris(out / "artifacts")
    assert contents(out) == whole
    assert not [p for p in out.rglob("*") if "temp" in p.name]
    remove_debris(out / "nowhere")


def test_temporary_files_of_a_killed_run_go_with_the_next(tmp_path: Path) -> None:
    before = tempfile.gettempdir(), os.environ.get("TMPDIR")
    with temporary_files(tmp_path) as folder:
        assert Path(tempfile.mkdtemp()).parent == folder
        with tempfile.NamedTemporaryFile(delete=False) as file:
            assert Path(file.name).parent == folder
    assert not folder.exists()
    # Killed: nothing took its folder away.
    folder.mkdir()
    (folder / "__autograph_generated_file.py").touch()
    with temporary_files(tmp_path) as again:
        assert again == folder
        assert list(again.iterdir()) == []
    with temporary_files(tmp_path / "other") as other:
        assert other != folder
    assert (tempfile.gettempdir(), os.environ.get("TMPDIR")) == before
