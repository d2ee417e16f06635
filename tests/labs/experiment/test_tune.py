"""The search for settings: what is tried, by what it is judged, and going on after a kill."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tune_child
from tune_child import NAMES, search_of

from common.statistics.bootstrap import Draws
from labs.experiment.knobs import KNOBS, changes, effective, search_space
from labs.experiment.studies.arms import Settings
from labs.experiment.trainings.data import FrozenData
from labs.experiment.trainings.training import Job, fit
from labs.experiment.tune import Trial, chosen_changes, lead_of, run_search
from schemas.errors import InputError


@pytest.fixture
def settings(tiny_settings: Settings) -> Settings:
    return tiny_settings.but(training={"epochs": 3})


def told(*_: Any) -> None:
    """No report."""


def test_present_settings_are_the_defaults(settings: Settings) -> None:
    space = search_space(settings, list(KNOBS))
    found = settings.but(**changes({hp.name: hp.default for hp in space.space}, settings))
    shown = settings.training
    same = settings.but(
        training={"table_learning_rate": shown.learning_rate, "table_epsilon": shown.epsilon}
    )
    assert found == same
    assert [hp.name for hp in space.space] == list(KNOBS)
    uneven = settings.but(loss={"weight_hard": 1.0, "weight_soft": 3.0})
    (weight,) = search_space(uneven, ["loss.weight_hard"]).space
    assert weight.default == 0.25
    assert uneven.but(**changes({weight.name: weight.default}, uneven)) == uneven


def test_no_more_layers_are_shared_than_there_are(settings: Settings) -> None:
    """One feed-forward layer: a stack of two shares all of it where four were proposed."""
    values = {"model.cross_layers": 1, "model.shared_layers": 4}
    assert changes(values, settings)["model"] == {"cross_layers": 1, "shared_layers": 2}
    deep = settings.but(model={"cross_layers": 4, "shared_layers": 4})
    assert changes({"model.cross_layers": 1}, deep)["model"]["shared_layers"] == 2
    assert effective(values, settings) == {"model.cross_layers": 1, "model.shared_layers": 2}
    assert effective({"model.dropout": 0.1}, deep) == {"model.dropout": 0.1}
    shared = {hp.name: hp for hp in search_space(settings, list(KNOBS)).space}[
        "model.shared_layers"
    ]
    assert (shared.min_value, shared.max_value) == (0, 5)
    (alone,) = search_space(settings, ["model.shared_layers"]).space
    assert alone.max_value == 2


def test_values_become_settings(settings: Settings) -> None:
    found = changes(
        {
            "model.hidden_units": "64-32",
            "model.cross_rank": 0,
            "loss.weight_hard": 0.35,
            "training.batch_size": 512,
        },
        settings,
    )
    assert found == {
        "model": {"hidden_units": (64, 32), "cross_rank": None},
        "loss": {"weight_hard": 0.35, "weight_soft": 0.65},
        "training": {"batch_size": 512},
    }
    assert changes({"model.cross_rank": 8}, settings)["model"] == {"cross_rank": 8}


def test_unknown_knob(settings: Settings) -> None:
    with pytest.raises(InputError, match=r"seen .model.width., wanted some of training"):
        search_space(settings, ["model.width"])


def test_a_search(tiny_data: FrozenData, settings: Settings, tmp_path: Path) -> None:
    reports: list[tuple[Any, ...]] = []
    search = search_of(tiny_data, settings, 3)
    found = run_search(search, tmp_path, lambda *line: reports.append(line))
    assert sorted(t.number for t in found) == [1, 2, 3]
    assert [t.score for t in found] == sorted(t.score for t in found)
    assert [line[:2] for line in reports] == [(1, 3), (2, 3), (3, 3)]
    assert reports[2][3] == found[0].score

    first = next(t for t in found if t.number == 1)
    assert set(first.values) == set(NAMES)
    _, record = fit(Job(tiny_data, settings, settings.training.seed, search.sample))
    looks = [row["calibration_log_loss_hard"] for row in record["history"]]
    assert first.score == pytest.approx(min(looks), rel=1e-4)
    assert settings.but(**chosen_changes(search, [first])) == settings

    ahead = lead_of(search, tmp_path, found, Draws(50, 1, 0.9))
    assert ahead is not None
    assert ahead.difference.estimate == pytest.approx(first.score - found[0].score, abs=1e-5)
    assert lead_of(search, tmp_path, [t for t in found if t != first], Draws(50, 1, 0.9)) is None

    reports.clear()
    assert run_search(search, tmp_path, lambda *line: reports.append(line)) == found
    assert reports == []
    more = run_search(replace(search, trials=4), tmp_path, told)
    assert {t.number: t for t in more}.keys() == {1, 2, 3, 4}
    assert [t for t in more if t.number < 4] == found

    other = run_search(search_of(tiny_data, settings, 2, seed=6), tmp_path, told)
    assert values(other)[2] != values(found)[2]


def values(trials: list[Trial]) -> dict[int, Any]:
    return {t.number: t.values for t in trials}


def test_the_eval_split_is_not_looked_at(
    tiny_data: FrozenData, settings: Settings, tmp_path: Path
) -> None:
    """The data set without its eval period gives the same search."""
    part = tmp_path / "part"
    part.mkdir()
    for name in ("train", "calibration", "data.json"):
        (part / name).symlink_to(tiny_data.folder / name)
    whole = run_search(search_of(tiny_data, settings, 1), tmp_path / "a", told)
    without = replace(tiny_data, folder=part)
    found = run_search(search_of(without, settings, 1), tmp_path / "b", told)
    assert found == whole


def test_a_killed_search_goes_on_where_it_stopped(
    tiny_data: FrozenData, settings: Settings, tmp_path: Path
) -> None:
    longer = settings.but(training={"epochs": 20})
    child = [tune_child.__file__, str(tiny_data.folder), str(tmp_path / "killed")]
    command = [sys.executable, *child, json.dumps(longer.dump())]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    kept = tmp_path / "killed" / "trainings"
    try:
        until = time.monotonic() + 240
        while not list(kept.glob("[0-9a-f]*")) and time.monotonic() < until:
            assert process.poll() is None
            time.sleep(0.02)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    before = {p.parent.name: p.stat().st_mtime_ns for p in kept.glob("[0-9a-f]*/training.json")}
    assert 1 <= len(list(kept.glob("[0-9a-f]*"))) < 3
    found = run_search(search_of(tiny_data, longer, 3), tmp_path / "killed", told)
    whole = run_search(search_of(tiny_data, longer, 3), tmp_path / "whole", told)
    assert values(found) == values(whole)
    assert len(list(kept.glob("[0-9a-f]*"))) == 3
    after = {p.parent.name: p.stat().st_mtime_ns for p in kept.glob("[0-9a-f]*/training.json")}
    assert before.items() <= after.items()


def test_a_broken_project_file_costs_no_training(
    tiny_data: FrozenData, settings: Settings, tmp_path: Path
) -> None:
    search = search_of(tiny_data, settings, 2)
    found = run_search(search, tmp_path, told)
    stamps = {p: p.stat().st_mtime_ns for p in (tmp_path / "trainings").glob("*/training.json")}
    oracle = tmp_path / search.key / "oracle.json"
    oracle.write_text(oracle.read_text()[:40])
    assert run_search(search, tmp_path, told) == found
    assert stamps == {p: p.stat().st_mtime_ns for p in stamps}


def test_settings_that_cannot_be_trained_are_passed_over(
    tiny_data: FrozenData, settings: Settings, tmp_path: Path
) -> None:
    broken = shutil.copytree(tiny_data.folder, tmp_path / "data")
    nums = np.load(broken / "train" / "nums.npy")
    np.save(broken / "train" / "nums.npy", np.full_like(nums, np.inf))
    reports: list[tuple[Any, ...]] = []
    data = replace(tiny_data, folder=broken)
    search = replace(search_of(data, settings, 1), names=("model.dropout",))
    with pytest.raises(InputError, match="none of 1 trials succeeded"):
        run_search(search, tmp_path / "search", lambda *line: reports.append(line))
    assert [line[2] for line in reports] == [None]
