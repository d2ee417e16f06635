"""Replacing versions while they are read."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.versions.folder import ServingFolder
from service.decoding.json_body import JsonDecoder
from service.http.metrics import Metrics
from service.models.bundle import Bundle
from service.models.inputs import InputSchema
from service.models.live import Live, Loaded, Poller
from service.predict import answer

Fill = Callable[..., None]
Load = Callable[..., Any]


class Alone:
    """A bundle in this process, in the place of the model processes that hold one."""

    whole = True

    def __init__(self, bundle: Bundle | None = None) -> None:
        self.bundle = bundle
        self.retired = False

    def retire(self) -> None:
        self.retired = True


def watch(root: Path, load: Load, metrics: Metrics | None = None, **clock: Clock) -> Live:
    return Live(root, lambda n, v: Alone(load(n, v)), metrics or Metrics(), **clock)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def publish(root: Path, fill: Fill, **changes: object) -> int:
    return ServingFolder(root, keep=3).publish(lambda f, v: fill(f, v, **changes)).version


def serving(live: Live) -> int | None:
    loaded = live.current()
    return loaded.number if loaded else None


def test_the_newest_version_serves_and_a_rollback_brings_the_one_before_back(
    tmp_path: Path, fill: Fill, loader: Load
) -> None:
    live = watch(tmp_path, loader)
    live.refresh()
    assert live.current() is None
    first = publish(tmp_path, fill)
    live.refresh()
    assert serving(live) == first
    second = publish(tmp_path, fill, assignment_id="a1")
    assert serving(live) == first
    live.refresh()
    assert serving(live) == second
    assert live.current().contents.bundle.table.assignment_id == "a1"
    ServingFolder(tmp_path).rollback()
    live.refresh()
    assert serving(live) == first
    shutil.rmtree(tmp_path / str(first))
    live.refresh()
    assert serving(live) == first


def _change_manifest(folder: Path) -> None:
    file = folder / "assets.extra" / "manifest.json"
    file.write_text(file.read_text().replace('"a0"', '"zz"'))


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "half a model": (lambda f: (f / "saved_model.pb").write_text("0."), "as pushed"),
    "one more file": (lambda f: (f / "other").write_text(""), "as pushed"),
    "half a one-task model": (
        lambda f: (f / "assets.extra" / "one_task" / "saved_model.pb").write_text(""),
        "as pushed",
    ),
    "no one-task model": (lambda f: shutil.rmtree(f / "assets.extra" / "one_task"), "as pushed"),
    "no manifest": (lambda f: (f / "assets.extra" / "manifest.json").unlink(), "manifest.json"),
    "half a manifest": (
        lambda f: (f / "assets.extra" / "manifest.json").write_text('{"version": 3'),
        "manifest.json",
    ),
    "no routing table": (
        lambda f: (f / "assets.extra" / "routing.parquet").unlink(),
        "routing.parquet: missing",
    ),
    "half a routing table": (
        lambda f: (f / "assets.extra" / "routing.parquet").write_bytes(b"PAR1"),
        "routing.parquet: changed",
    ),
    "no routing settings": (
        lambda f: (f / "assets.extra" / "routing.json").unlink(),
        "routing.json: missing",
    ),
    "another manifest": (_change_manifest, "manifest.json: changed"),
    "an empty folder": (lambda f: (shutil.rmtree(f), f.mkdir()), "manifest.json"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_the_last_good_version_outlives_a_bad_one(
    tmp_path: Path, fill: Fill, loader: Load, damage: str
) -> None:
    spoil, reason = DAMAGE[damage]
    good = publish(tmp_path, fill)
    metrics = Metrics()
    live = watch(tmp_path, loader, metrics)
    live.refresh()
    bad = publish(tmp_path, fill)
    spoil(tmp_path / str(bad))
    live.refresh()
    assert serving(live) == good
    assert reason in live.refusals[bad].reason
    lines = metrics.text().decode().splitlines()
    assert 'hardtower_version_loads_total{outcome="refused"} 1.0' in lines
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert float(values["hardtower_serving_version"]) == good
    assert float(values["hardtower_newest_version"]) == bad
    fresh = watch(tmp_path, loader)
    fresh.refresh()
    assert serving(fresh) == good
    better = publish(tmp_path, fill)
    live.refresh()
    assert serving(live) == better


def test_a_version_that_answers_no_probability_is_refused(
    tmp_path: Path, fill: Fill, loader: Load
) -> None:
    live = watch(tmp_path, loader)
    bad = publish(tmp_path, fill, one_task="1.5")
    live.refresh()
    assert live.current() is None
    assert "probability 1.5; wanted a number from 0 to 1" in live.refusals[bad].reason


def test_a_version_with_other_features_is_refused(
    tmp_path: Path, fill: Fill, make_loader: Callable[..., Load]
) -> None:
    wanted = InputSchema(("ad", "goal", "shop", "size"), ("price",))
    live = watch(tmp_path, make_loader(wanted=wanted))
    bad = publish(tmp_path, fill)
    live.refresh()
    assert live.current() is None
    assert "no feature 'size'" in live.refusals[bad].reason


def test_what_is_not_whole_is_loaded_again_and_what_is_replaced_is_retired(tmp_path: Path) -> None:
    (tmp_path / "3").mkdir()
    live = Live(tmp_path, lambda number, folder: Alone(), Metrics())
    live.refresh()
    first = live.current()
    live.refresh()
    assert live.current() is first
    first.contents.whole = False
    live.refresh()
    second = live.current()
    assert (second.number, first.contents.retired, second.contents.retired) == (3, True, False)
    assert second.contents is not first.contents
    live.close()
    assert live.current() is None
    assert second.contents.retired


def test_a_version_that_is_still_being_copied_is_tried_again(
    tmp_path: Path, fill: Fill, loader: Load
) -> None:
    clock = Clock()
    live = watch(tmp_path, loader, clock=clock)
    fill(tmp_path / "whole", 9)
    (tmp_path / "9").mkdir()
    live.refresh()
    assert live.refusals[9].attempts == 1
    shutil.copytree(tmp_path / "whole", tmp_path / "9", dirs_exist_ok=True)
    live.refresh()
    assert serving(live) is None
    clock.now = 1.0
    live.refresh()
    assert serving(live) == 9
    assert live.refusals == {}


def test_pauses_between_attempts_double_up_to_a_minute(tmp_path: Path) -> None:
    (tmp_path / "3").mkdir()
    clock = Clock()

    def load(number: int, path: Path) -> None:
        raise OSError

    live = watch(tmp_path, load, clock=clock)
    pauses = []
    for _ in range(8):
        live.refresh()
        pauses.append(live.refusals[3].again - clock.now)
        clock.now = live.refusals[3].again
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    assert live.refusals[3].reason == "OSError"


def test_no_answer_mixes_versions_while_they_are_pushed(
    tmp_path: Path, fill: Fill, loader: Load
) -> None:
    """Both models' answers and the tasks are functions of the version here."""
    versions = 12
    folder = ServingFolder(tmp_path, keep=3)

    def contents(path: Path, version: int) -> None:
        i = version % 100
        tasks = {"a|buy": "hard", "a|visit": "soft"} if i % 2 else {"a|buy": "soft"}
        fill(path, version, f"0.1{i:02}", f"0.9{i:02}", tasks, f"assignment {version}")

    folder.publish(contents)
    live = watch(tmp_path, loader)
    live.refresh()
    poller = Poller(live.refresh, 0.001)
    poller.start()
    body = b'{"candidates": [{"setup_id": "a|buy"}, {"setup_id": "new|new"}]}'
    request = JsonDecoder(InputSchema(("ad", "goal", "shop"), ("price",)), 10).decode(body)
    done = threading.Event()
    wrong: list[object] = []
    seen: set[int] = set()

    def read() -> None:
        while not done.is_set():
            loaded = live.current()
            assert isinstance(loaded, Loaded)
            found = answer(request, Loaded(loaded.number, loaded.contents.bundle), None)
            i = found.version % 100
            hard, other = (round(float(p), 3) for p in (f"0.1{i:02}", f"0.9{i:02}"))
            wanted = ["hard" if i % 2 else "soft", "soft"]
            scores = [hard if i % 2 else other, other]
            got = (found.decisions.task.tolist(), found.probability.round(3).tolist())
            close = all(abs(a - b) < 1e-3 for a, b in zip(got[1], scores, strict=True))
            if (
                got[0] != wanted
                or not close
                or found.assignment_id != f"assignment {found.version}"
            ):
                wrong.append((found, wanted, scores))
            seen.add(found.version)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for _ in range(versions):
        newest = folder.publish(contents).version
        while live.current().number != newest:
            done.wait(0.002)
    done.set()
    for reader in readers:
        reader.join()
    poller.stop()
    assert wrong == []
    assert live.refusals == {}
    assert len(seen) > versions // 2
