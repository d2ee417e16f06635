"""Publishing versions: readers, writers and kills in other processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from common.versions.digest import SUMS, check_sums
from common.versions.folder import LOCK, REMOVED, STAGING, RolledBack, ServingFolder
from common.versions.reference import MODEL_FILE
from schemas.errors import InputError

FILES = 12


def fill(folder: Path, version: int) -> None:
    """Files in two levels that all hold the version."""
    (folder / "variables").mkdir()
    for i in range(FILES):
        parent = folder / "variables" if i % 2 else folder
        (parent / f"{i}").write_text(str(version))
    (folder / MODEL_FILE).write_text(str(version))


def at(seconds: float) -> Callable[[], float]:
    return lambda: seconds


def start(script: str, *args: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, args)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )


def names(root: Path) -> set[str]:
    return {entry.name for entry in root.iterdir()}


def test_the_first_version_is_the_time_in_whole_seconds(tmp_path: Path) -> None:
    folder = ServingFolder(tmp_path / "serving", clock=at(1_700_000_000.9))
    published = folder.publish(fill)
    assert published.version == 1_700_000_000
    assert published.new
    assert published.path == tmp_path / "serving" / "1700000000"
    filled = {p.read_text() for p in published.path.rglob("*") if p.is_file() and p.name != SUMS}
    assert filled == {"1700000000"}


@pytest.mark.parametrize(("now", "wanted"), [(100, 101), (50, 101), (100.99, 101), (102, 102)])
def test_versions_grow_whatever_the_clock_says(tmp_path: Path, now: float, wanted: int) -> None:
    ServingFolder(tmp_path, clock=at(100)).publish(fill)
    assert ServingFolder(tmp_path, clock=at(now)).publish(fill).version == wanted


def test_keeps_the_newest_versions(tmp_path: Path) -> None:
    folder = ServingFolder(tmp_path, keep=3, clock=at(10))
    for _ in range(5):
        folder.publish(fill)
    assert folder.versions() == [12, 13, 14]
    assert names(tmp_path) == {"12", "13", "14", LOCK}


def test_one_task_models_are_linked_while_their_version_is_there(tmp_path: Path) -> None:
    def with_one_task(folder: Path, version: int) -> None:
        fill(folder, version)
        model = folder / "assets.extra" / "one_task"
        model.mkdir(parents=True)
        (model / "saved_model.pb").write_text(str(version))

    folder = ServingFolder(tmp_path, keep=2, clock=at(10))
    for contents in (with_one_task, with_one_task, fill, with_one_task):
        folder.publish(contents)
    links = tmp_path / "one_task"
    assert folder.versions() == [12, 13]
    assert {p.name: (p / "saved_model.pb").read_text() for p in links.iterdir()} == {"13": "13"}
    folder.rollback()
    assert list(links.iterdir()) == []


def test_keep_must_be_at_least_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="keep: 0"):
        ServingFolder(tmp_path, keep=0)


def push(folder: Path, name: str, manifest: str | None = "{}") -> Path:
    """A version as another hand copies it: a model file and a manifest."""
    version = folder / name
    version.mkdir(parents=True)
    (version / MODEL_FILE).write_bytes(f"graph {name}".encode())
    if manifest is not None:
        (version / "assets.extra").mkdir()
        (version / "assets.extra" / "manifest.json").write_text(manifest)
    return version


@pytest.mark.parametrize(
    "name", [".staging-12", ".removed-12-ab", "12.tmp", "v12", "012", "-12", "1_2", "1.5", "١٢"]
)
def test_only_folders_named_by_a_number_are_versions(tmp_path: Path, name: str) -> None:
    for pushed in ("9", "10", "2", name):
        push(tmp_path, pushed)
    assert ServingFolder(tmp_path).versions() == [2, 9, 10]
    newest = ServingFolder(tmp_path).newest()
    assert newest is not None
    assert (newest.number, newest.path) == (10, tmp_path / "10")
    # sha256 of the two bytes {}
    assert newest.manifest_digest == (
        "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    )


def test_half_copied_versions_and_files_are_passed_over(tmp_path: Path) -> None:
    push(tmp_path, "7")
    (tmp_path / "8" / "variables").mkdir(parents=True)
    (tmp_path / "9").write_text("a file")
    folder = ServingFolder(tmp_path, clock=at(1))
    assert (folder.versions(), folder.numbered()) == ([7], [7, 8])
    assert folder.publish(fill).version == 10


def test_no_folder_no_version(tmp_path: Path) -> None:
    for root in (tmp_path / "nowhere", tmp_path):
        assert ServingFolder(root).newest() is None
        assert ServingFolder(root).fingerprint() == ""


def test_the_fingerprint_follows_the_newest_version(tmp_path: Path) -> None:
    folder = ServingFolder(tmp_path)
    push(tmp_path, "7", '{"a": 1}')
    first = folder.fingerprint()
    assert first.startswith("7:sha256:")
    push(tmp_path, "3")
    assert folder.fingerprint() == first
    (tmp_path / "7" / "assets.extra" / "manifest.json").write_text('{"a": 2}')
    second = folder.fingerprint()
    push(tmp_path, "8", '{"a": 2}')
    assert len({first, second, folder.fingerprint()}) == 3


def test_without_a_manifest_the_fingerprint_is_the_graphs(tmp_path: Path) -> None:
    version = push(tmp_path, "7", manifest=None)
    folder = ServingFolder(tmp_path)
    first = folder.fingerprint()
    (version / MODEL_FILE).write_bytes(b"another graph")
    assert folder.fingerprint() != first
    newest = folder.newest()
    assert newest is not None
    assert newest.manifest_digest == ""


def test_a_push_without_a_model_is_refused(tmp_path: Path) -> None:
    folder = ServingFolder(tmp_path, clock=at(5))
    folder.publish(fill)
    with pytest.raises(ValueError, match=r"version 6: no saved_model\.pb"):
        folder.publish(lambda staging, version: None)
    assert names(tmp_path) == {"5", LOCK}


def test_nothing_changes_when_filling_fails(tmp_path: Path) -> None:
    folder = ServingFolder(tmp_path, clock=at(5))
    folder.publish(fill)

    def broken(staging: Path, version: int) -> None:
        (staging / "half").write_text("")
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        folder.publish(broken)
    assert names(tmp_path) == {"5", LOCK}
    assert folder.publish(fill).version == 6


def test_a_version_that_is_already_there_is_not_published_again(tmp_path: Path) -> None:
    folder = ServingFolder(tmp_path, clock=at(5))
    folder.publish(fill)
    again = folder.publish(fill, already=lambda newest: (newest / "0").read_text() == "5")
    assert (again.version, again.new) == (5, False)
    assert folder.versions() == [5]


def test_rollback_serves_the_version_before(tmp_path: Path) -> None:
    folder = ServingFolder(tmp_path, clock=at(5))
    for _ in range(3):
        folder.publish(fill)
    assert folder.rollback() == RolledBack(removed=7, serving=6)
    assert folder.versions() == [5, 6]
    assert names(tmp_path) == {"5", "6", LOCK}


def test_a_number_that_was_rolled_back_is_not_used_again(tmp_path: Path) -> None:
    folder = ServingFolder(tmp_path, clock=at(5))
    folder.publish(fill)
    folder.publish(fill)
    folder.rollback()
    assert folder.publish(fill).version == 7


def test_the_list_of_digests_is_what_sha256sum_checks(tmp_path: Path) -> None:
    version = ServingFolder(tmp_path, clock=at(5)).publish(fill).path
    check_sums(version)
    command = ["sha256sum", "--check", "--strict", "--quiet", SUMS]
    subprocess.run(command, cwd=version, check=True)
    # printf 5 | sha256sum
    line = "ef2d127de37b942baad06145e54b0c619a1f22327b2ebbcfbec78f5564afe39d  variables/1"
    assert line in (version / SUMS).read_text().splitlines()


FLIPS: dict[str, tuple[Callable[[Path], object], str]] = {
    "one bit": (lambda v: (v / "variables" / "3").write_text("4"), "variables/3: changed"),
    "a file gone": (lambda v: (v / "4").unlink(), "4: missing"),
    "a file more": (lambda v: (v / "new").touch(), "new: not in the list"),
    "an empty list": (lambda v: (v / SUMS).write_text(""), "0: not in the list"),
    "no list": (lambda v: (v / SUMS).unlink(), "No such file"),
    "a list of bytes": (lambda v: (v / SUMS).write_bytes(b"\xff" * 99), "0: not in the list"),
    "half a list": (lambda v: os.truncate(v / SUMS, 100), r": (missing|not in the list)"),
}


@pytest.mark.parametrize("flip", FLIPS)
def test_any_change_of_a_version_is_named_and_nothing_rolls_back_to_it(
    tmp_path: Path, flip: str
) -> None:
    spoil, reason = FLIPS[flip]
    folder = ServingFolder(tmp_path, clock=at(5))
    version = folder.publish(fill).path
    folder.publish(fill)
    spoil(version)
    with pytest.raises(InputError, match=reason):
        check_sums(version)
    if (version / SUMS).exists():
        with pytest.raises(InputError, match=reason):
            folder.rollback()
        assert folder.versions() == [5, 6]


@pytest.mark.parametrize("bit", range(8))
def test_every_bit_of_every_file_counts(tmp_path: Path, bit: int) -> None:
    version = ServingFolder(tmp_path, clock=at(5)).publish(fill).path
    for name in ("0", "variables/1", MODEL_FILE, SUMS):
        whole = (version / name).read_bytes()
        for place in {0, len(whole) // 2, len(whole) - 1}:
            flipped = bytearray(whole)
            flipped[place] ^= 1 << bit
            (version / name).write_bytes(flipped)
            with pytest.raises(InputError, match="as pushed"):
                check_sums(version)
        (version / name).write_bytes(whole)
    check_sums(version)


def test_rollback_refuses_to_leave_nothing(tmp_path: Path) -> None:
    folder = ServingFolder(tmp_path, clock=at(5))
    with pytest.raises(InputError, match="no versions"):
        folder.rollback()
    with pytest.raises(InputError, match="no versions"):
        ServingFolder(tmp_path / "nowhere").rollback()
    folder.publish(fill)
    with pytest.raises(InputError, match="only version 5 is left"):
        folder.rollback()
    assert folder.versions() == [5]


def test_folders_are_open_to_the_server(tmp_path: Path) -> None:
    """TF Serving runs as another user: the mode is the umask's, not 0700."""
    umask = os.umask(0o022)
    try:
        path = ServingFolder(tmp_path).publish(fill).path
    finally:
        os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o755
    assert (path / "0").stat().st_mode & 0o777 == 0o644


READER = """
import sys
from pathlib import Path
root, files = Path(sys.argv[1]), int(sys.argv[2])
checked = bad = 0
while not (root / "stop").exists():
    numbers = [int(p.name) for p in root.iterdir() if p.name.isdecimal()]
    if not numbers:
        continue
    version = root / str(max(numbers))
    try:
        files_there = [p for p in sorted(version.rglob("*")) if p.is_file()]
        found = [p.read_text() for p in files_there if p.name != "SHA256SUMS"]
    except FileNotFoundError:
        found = []
    if found == [version.name] * files:
        checked += 1
    elif version.exists():
        bad += 1
print(checked, bad)
"""


def test_a_reader_never_sees_half_a_version(tmp_path: Path) -> None:
    reader = start(READER, tmp_path, FILES + 1)
    folder = ServingFolder(tmp_path, keep=2, clock=at(1))

    def slow_fill(staging: Path, version: int) -> None:
        for i in range(FILES):
            (staging / f"{i}").write_text(str(version))
            time.sleep(0.0005)
        (staging / MODEL_FILE).write_text(str(version))

    for _ in range(60):
        folder.publish(slow_fill)
    (tmp_path / "stop").write_text("")
    output, _ = reader.communicate(timeout=30)
    checked, bad = map(int, output.split())
    assert bad == 0
    assert checked > 0


PUSHER = """
import sys
from pathlib import Path
from common.versions.folder import ServingFolder
def fill(folder, version):
    (folder / "who").write_text(sys.argv[2])
    (folder / "saved_model.pb").write_text("")
folder = ServingFolder(Path(sys.argv[1]), keep=1000, clock=lambda: 1.0)
for _ in range(15):
    print(folder.publish(fill).version)
"""


def test_pushers_at_the_same_time_never_share_a_version(tmp_path: Path) -> None:
    pushers = [start(PUSHER, tmp_path, who) for who in range(3)]
    published = {
        who: [int(line) for line in pusher.communicate(timeout=60)[0].split()]
        for who, pusher in enumerate(pushers)
    }
    assert sorted(v for versions in published.values() for v in versions) == list(range(1, 46))
    assert ServingFolder(tmp_path).versions() == list(range(1, 46))
    for who, versions in published.items():
        assert {(tmp_path / str(v) / "who").read_text() for v in versions} == {str(who)}


KILLED = """
import sys, time
from pathlib import Path
from common.versions import folder as versions
def fill(folder, version):
    (folder / "half").write_text("")
    print("filling", flush=True)
    time.sleep(60)
def stuck(path):
    print("removing", flush=True)
    time.sleep(60)
if sys.argv[2] == "remove":
    versions.shutil.rmtree = stuck
    fill = lambda folder, version: (folder / "saved_model.pb").touch()
versions.ServingFolder(Path(sys.argv[1]), keep=1, clock=lambda: 2.0).publish(fill)
"""


@pytest.mark.parametrize(
    ("moment", "leftover", "versions"), [("fill", STAGING, [1]), ("remove", REMOVED, [2])]
)
def test_a_killed_push_leaves_no_half_version(
    tmp_path: Path, moment: str, leftover: str, versions: list[int]
) -> None:
    ServingFolder(tmp_path, clock=at(1)).publish(fill)
    pusher = start(KILLED, tmp_path, moment)
    assert pusher.stdout is not None
    pusher.stdout.readline()
    os.kill(pusher.pid, signal.SIGKILL)
    pusher.wait(timeout=30)
    pusher.stdout.close()
    assert ServingFolder(tmp_path).versions() == versions
    assert [name for name in names(tmp_path) if name.startswith(leftover)]

    ServingFolder(tmp_path, clock=at(3)).publish(fill)
    assert names(tmp_path) == {*map(str, versions), "3", LOCK}
