"""Trainings on a frozen data set: keys, rows, what is stored, and going on after a kill."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import queue_child
from scipy.special import logit

from components.trainer.calibrate.isotonic import fit_isotonic
from components.trainer.calibrate.platt import fit_platt
from components.trainer.data.columns import Columns
from labs.experiment.studies.arms import Settings
from labs.experiment.studies.cuts import Subsample, advertiser_fold, sampled
from labs.experiment.trainings.data import FrozenData
from labs.experiment.trainings.queue import QueueProgress, work_off
from labs.experiment.trainings.store import Store
from labs.experiment.trainings.training import (
    HARD_TOWER,
    ON_CALIBRATION,
    OWN_TOWER,
    Job,
    check,
    columns_of,
    learned_from,
    perform,
)
from schemas.errors import InputError


@pytest.fixture
def job(tiny_data: FrozenData, tiny_settings: Settings) -> Job:
    return Job(tiny_data, tiny_settings, 3, Subsample())


def test_the_key_follows_what_decides_the_outcome(job: Job) -> None:
    same = replace(job, settings=job.settings.but(training={"seed": 99, "keep_checkpoints": 9}))
    assert same.key("c") == job.key("c")
    changed = {
        "seed": replace(job, seed=4),
        "code": None,
        "model": replace(job, settings=job.settings.but(model={"shared_layers": 0})),
        "calibration": replace(
            job, settings=job.settings.but(training={"calibration": {"method": "platt"}})
        ),
        "loss": replace(job, settings=job.settings.but(loss={"weight_hard": 0.4})),
        "data": replace(job, data=replace(job.data, key="other")),
        "sample": replace(job, sample=Subsample(share=0.5)),
        "assignment": replace(job, assignment_digest="b"),
        "swapped": replace(job, swapped=True),
        "folds": replace(job, folds=3, fold=1),
        "fold": replace(job, folds=3, fold=2),
    }
    keys = {name: t.key("c") if t else job.key("d") for name, t in changed.items()}
    assert len({job.key("c"), *keys.values()}) == len(keys) + 1


def test_wrong_settings_are_refused(tiny_settings: Settings) -> None:
    with pytest.raises(InputError, match=r"loss: .*weight_hard 0 leaves the served tower"):
        tiny_settings.but(loss={"weight_hard": 0})


def test_labels_that_say_too_little_are_left_out(job: Job) -> None:
    """As the Trainer does, by the settings."""
    columns = job.data.columns("train")
    seen = np.where(np.arange(len(columns)) % 4, 1.0, 0.05).astype(np.float32)

    class Younger(FrozenData):
        def columns(self, split: str) -> Columns:
            return replace(columns, completeness=seen)

    younger = replace(job, data=Younger(job.data.folder, "young", job.data.record))
    assert len(learned_from(younger, "train")) == (seen == 1).sum()
    low = younger.settings.but(training={"min_completeness": 0.01})
    kept = learned_from(replace(younger, settings=low), "train")
    assert kept.completeness is not None
    assert len(kept) == len(columns)
    naive = low.but(training={"labels": "observed"})
    assert learned_from(replace(younger, settings=naive), "train").completeness is None


def test_rows(job: Job, tmp_path: Path) -> None:
    whole = columns_of(job, "train")
    swapped = columns_of(replace(job, swapped=True), "train")
    assert np.array_equal(swapped.hard, ~whole.hard)
    facts = job.data.facts("train")
    advertisers = np.array(facts["advertiser"].to_pylist())
    seen = set()
    for fold in range(3):
        left = columns_of(replace(job, folds=3, fold=fold), "train")
        out = set(advertisers[advertiser_fold(facts, 3) == fold])
        assert len(left) == len(whole) - np.isin(advertisers, list(out)).sum()
        assert not out & seen
        seen |= out
    assert seen == {f"a{i}" for i in range(5)}
    everyone = columns_of(replace(job, folds=3, fold=0), "eval")
    assert len(everyone) == 500
    for split, rows in (("train", 900), ("calibration", 400), ("eval", 500)):
        np.save(tmp_path / f"{split}.npy", np.arange(rows) % 2 == 0)
    other = columns_of(replace(job, assignment=tmp_path), "train")
    assert other.hard.tolist() == [i % 2 == 0 for i in range(900)]


def test_samples_are_whole_setups_or_the_last_days(job: Job) -> None:
    for split in ("train", "calibration", "eval"):
        facts = job.data.facts(split)
        kept = sampled(facts, split, Subsample(share=0.5))
        assert kept is not None
        setups = np.array(facts["setup_id"].to_pylist())
        assert not set(setups[kept]) & set(setups[~kept])
        if split == "train":
            chosen = set(setups[kept])
        assert set(setups[kept]) == chosen & set(setups)
        assert sampled(facts, split, Subsample()) is None
    facts = job.data.facts("train")
    day = facts["click_time"].to_numpy() // 86_400
    kept = sampled(facts, "train", Subsample(share=0.2, by="day"))
    assert np.array_equal(kept, day >= 24)
    assert sampled(job.data.facts("eval"), "eval", Subsample(share=0.2, by="day")) is None
    with pytest.raises(InputError, match="keeps no example"):
        sampled(facts, "train", Subsample(share=1e-9))


def test_what_a_training_leaves(job: Job, tmp_path: Path) -> None:
    found = perform(job)
    hard = columns_of(job, "eval").hard
    scored, own = found.predictions[HARD_TOWER], found.predictions[OWN_TOWER]
    assert np.array_equal(scored[hard], own[hard])
    assert (scored[~hard] < own[~hard]).all(), "the soft tower knows soft rates"
    held_out = columns_of(job, "calibration")
    assert len(found.predictions[ON_CALIBRATION]) == held_out.hard.sum()
    one = perform(replace(job, settings=job.settings.but(model={"mode": "one_task"})))
    assert np.array_equal(one.predictions[HARD_TOWER], one.predictions[OWN_TOWER])

    store = Store(tmp_path)
    assert not store.has("k")
    store.keep("k", found, job.identity())
    store.keep("k", found, job.identity())
    assert np.array_equal(store.predictions("k", OWN_TOWER), own)
    assert store.record("k")["settings"]["training"]["seed"] == 3
    assert [p.name for p in tmp_path.iterdir()] == ["k"]


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_predictions_are_calibrated_as_a_run_calibrates_them(job: Job, method: str) -> None:
    """Against the calibrator fitted by hand on the logits of the plain training."""
    plain = perform(job)
    asked = {"method": method, "min_conversions": 3}
    calibrated = job.settings.but(training={"calibration": asked})
    found = perform(replace(job, settings=calibrated))
    held_out = columns_of(job, "calibration")
    label = held_out.label[held_out.hard].astype(float)
    logits = {name: logit(p.astype(float)) for name, p in plain.predictions.items()}
    z, weight = logits[ON_CALIBRATION], np.ones(len(label))
    by_hand = (
        fit_platt(z, label, weight) if method == "platt" else fit_isotonic(z, label, weight, 3)
    )
    for name in (HARD_TOWER, ON_CALIBRATION):
        wanted = by_hand.probability(logits[name])
        assert found.predictions[name] == pytest.approx(wanted, rel=1e-4)
    assert not np.allclose(found.predictions[HARD_TOWER], plain.predictions[HARD_TOWER], rtol=0.01)
    hard, own = columns_of(job, "eval").hard, found.predictions[OWN_TOWER]
    assert np.array_equal(own[hard], found.predictions[HARD_TOWER][hard])
    assert np.array_equal(own[~hard], plain.predictions[OWN_TOWER][~hard])
    assert found.record["calibration"]["conversions"] == label.sum()
    assert plain.record["calibration"] is None
    assert found.record["kept_step"] == plain.record["kept_step"]


def test_a_calibrator_that_cannot_be_fitted_is_refused_before_training(
    job: Job, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(job.data.folder, folder)
    np.save(folder / "calibration" / "label.npy", np.zeros(400, np.float32))
    settings = job.settings.but(training={"calibration": {"method": "platt"}})
    bare = replace(job, data=replace(job.data, folder=folder), settings=settings)
    with pytest.raises(InputError, match=r"method platt: 0 of the \d+ calibration examples"):
        check(bare)
    check(replace(bare, settings=job.settings))
    check(replace(job, settings=settings))


def test_a_swapped_network_learns_soft_examples(job: Job) -> None:
    only = job.settings.but(model={"mode": "hard_only"}, training={"epochs": 4})
    hard = columns_of(job, "eval").hard
    of_soft = perform(replace(job, settings=only, swapped=True)).predictions[HARD_TOWER]
    of_hard = perform(replace(job, settings=only)).predictions[HARD_TOWER]
    assert of_soft[hard].mean() > 2 * of_hard[hard].mean()


def jobs_of(job: Job, seeds: int, epochs: int = 1) -> dict[str, tuple[str, Job]]:
    longer = replace(job, settings=job.settings.but(training={"epochs": epochs}))
    made = [replace(longer, seed=seed) for seed in range(seeds)]
    return {t.key("code"): (f"seed {t.seed}", t) for t in made}


def test_progress_is_told(job: Job, tmp_path: Path) -> None:
    jobs, store, told = jobs_of(job, 2), Store(tmp_path), list[QueueProgress]()
    work_off(jobs, store, 1, told.append)
    assert [(p.done, p.of, p.stored) for p in told] == [(0, 2, 0), (1, 2, 0), (2, 2, 0)]
    assert told[0].left is None
    assert told[1].left is not None
    assert told[1].left > 0
    assert told[2].left == 0
    told.clear()
    work_off(jobs, store, 1, told.append)
    assert [(p.done, p.of, p.stored) for p in told] == [(2, 2, 2)]


def test_a_killed_queue_goes_on_where_it_stopped(job: Job, tmp_path: Path) -> None:
    """Two workers train; killed after the first training. It is whole and what one process would
    have trained, its workers end, and the others are trained later."""
    folder = tmp_path / "store"
    jobs = jobs_of(job, 4, epochs=25)
    settings = next(iter(jobs.values()))[1].settings.dump()
    child = Path(queue_child.__file__)
    command = [sys.executable, str(child), str(job.data.folder), str(folder)]
    process = subprocess.Popen([*command, json.dumps(settings)], stderr=subprocess.DEVNULL)
    keys, store = list(jobs), Store(folder)
    try:
        until = time.monotonic() + 240
        while not any(map(store.has, keys)) and time.monotonic() < until:
            assert process.poll() is None
            time.sleep(0.02)
        workers = children(process.pid)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert len(workers) >= 2
    until = time.monotonic() + 60
    while any(map(alive, workers)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(map(alive, workers))
    key = next(filter(store.has, keys))
    first = store.predictions(key, HARD_TOWER)
    alone = perform(jobs[key][1]).predictions[HARD_TOWER]
    np.testing.assert_allclose(first, alone, rtol=1e-3)
    stored = sum(map(store.has, keys))
    done: list[QueueProgress] = []
    work_off(jobs, store, 1, done.append)
    assert all(map(store.has, keys))
    assert done[0].stored == stored
    assert len(done) == 1 + 4 - stored
    assert np.array_equal(store.predictions(key, HARD_TOWER), first)


def children(parent: int) -> list[int]:
    """Processes that a process started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == parent:
                found.append(int(stat.parent.name))
    return found


def alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
