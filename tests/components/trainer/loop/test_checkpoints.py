"""When checkpoints are written, what is read back, and what is removed."""

from __future__ import annotations

import dataclasses
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from components.trainer.data.columns import Columns
from components.trainer.loop.checkpoints import (
    CheckpointRoot,
    Checkpoints,
    checkpoint_root,
    remove,
    remove_abandoned,
)
from components.trainer.loop.identity import training_identity
from components.trainer.loop.loop import Splits, Surroundings, TrainResult, train
from components.trainer.settings import (
    LossSettings,
    ModelSettings,
    Recipe,
    TrainingSettings,
    WideSettings,
)
from components.transform.layout import FeatureLayout
from schemas.errors import InputError

Clicks = Callable[..., Columns]


class Clock:
    """Seconds that only the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def training(**settings: object) -> TrainingSettings:
    defaults = {"checkpoint_every_seconds": None, "checkpoint_every_steps": 1}
    return TrainingSettings.model_validate(defaults | settings)


def variable(value: float = 1.0) -> tf.Variable:
    return tf.Variable([value, 2.0])


def kept(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("*.index")}


@pytest.mark.parametrize("scheme", ["", "ram://checkpoints"])
def test_what_is_saved_comes_back(scheme: str, tmp_path: Path) -> None:
    """From a disk, and from a file system that only TensorFlow knows."""
    folder = scheme or str(tmp_path)
    first, second = variable(), variable(9.0)
    saving = Checkpoints(folder, {"v": first}, training())
    assert saving.latest is None
    assert saving.restore() is None
    saving.save(3, (first,))
    first.assign([7.0, 8.0])
    saving.save(5, (first,))
    found = Checkpoints(folder, {"v": second}, training())
    assert found.restore() == found.latest == f"{folder}/step-5"
    np.testing.assert_array_equal(second, [7.0, 8.0])
    remove(folder)
    assert not tf.io.gfile.exists(f"{folder}/checkpoint")


def test_the_newest_are_kept_across_processes(tmp_path: Path) -> None:
    v = variable()
    for steps in ((1, 2, 3), (4, 5)):
        checkpoints = Checkpoints(str(tmp_path), {"v": v}, training(keep_checkpoints=3))
        checkpoints.restore()
        for step in steps:
            checkpoints.save(step, (v,))
    assert kept(tmp_path) == {"step-3", "step-4", "step-5"}


@pytest.mark.parametrize("damage", ["cut short", "gone", "overwritten"])
def test_one_that_cannot_be_read_leaves_the_one_before(
    damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    v = variable()
    checkpoints = Checkpoints(str(tmp_path), {"v": v}, training())
    for step in (1, 2):
        v.assign([step, step])
        checkpoints.save(step, (v,))
    data = tmp_path / "step-2.data-00000-of-00001"
    if damage == "cut short":
        data.write_bytes(data.read_bytes()[:5])
    elif damage == "gone":
        data.unlink()
    else:
        data.write_bytes(bytes(data.stat().st_size))
    again = Checkpoints(str(tmp_path), {"v": v}, training())
    with caplog.at_level(logging.WARNING, logger="hardtower"):
        assert again.restore() == str(tmp_path / "step-1")
    np.testing.assert_array_equal(v, [1.0, 1.0])
    assert "step-2 cannot be read" in caplog.text


def test_steps_decide(tmp_path: Path) -> None:
    checkpoints = Checkpoints(str(tmp_path), {"v": variable()}, training(checkpoint_every_steps=4))
    assert [step for step in range(1, 13) if checkpoints.due(step)] == [4, 8, 12]


def test_the_clock_decides_and_spends_a_twentieth_at_most(tmp_path: Path) -> None:
    clock, v = Clock(), variable()

    class Slow(tf.train.experimental.PythonState):
        """Takes ten seconds to be written."""

        def serialize(self) -> str:
            clock.now += 10
            return ""

        def deserialize(self, string_value: bytes) -> None:
            pass

    settings = training(checkpoint_every_seconds=60.0, checkpoint_every_steps=None)
    checkpoints = Checkpoints(str(tmp_path), {"v": v, "slow": Slow()}, settings, clock)
    clock.now += 59
    assert not checkpoints.due(1)
    clock.now += 1
    assert checkpoints.due(2)
    assert checkpoints.save(2, (v,)) == pytest.approx(10)
    clock.now += 199
    assert not checkpoints.due(3)
    clock.now += 1
    assert checkpoints.due(4)
    assert checkpoints.spent.seconds == pytest.approx(10)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_not_saved(bad: float, tmp_path: Path) -> None:
    good, v = variable(), variable()
    checkpoints = Checkpoints(str(tmp_path), {"v": v}, training())
    checkpoints.save(1, (good, v))
    v.assign([1.0, bad])
    checkpoints.save(2, (good, v))
    assert kept(tmp_path) == {"step-1"}
    assert checkpoints.latest == str(tmp_path / "step-1")


def test_a_failed_write_is_told_and_survived(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, v = tmp_path / "here", variable()
    checkpoints = Checkpoints(str(folder), {"v": v}, training())
    checkpoints.save(1, (v,))
    remove(str(folder))
    folder.write_text("a file where the folder was")
    with caplog.at_level(logging.WARNING, logger="hardtower"):
        checkpoints.save(2, (v,))
    assert "checkpoint at step 2 not written" in caplog.text
    assert (checkpoints.spent.written, checkpoints.spent.failed) == (1, 1)


def test_old_folders_go_and_others_stay(tmp_path: Path) -> None:
    now = time.time()
    for name, days in (("old", 15), ("young", 13)):
        Checkpoints(str(tmp_path / name), {"v": variable()}, training()).save(1, ())
        os.utime(tmp_path / name / "checkpoint", (now - days * 86_400,) * 2)
    (tmp_path / "not ours").mkdir()
    remove_abandoned(CheckpointRoot(str(tmp_path)), days=14, now=lambda: now)
    assert {path.name for path in tmp_path.iterdir()} == {"young", "not ours"}
    remove_abandoned(CheckpointRoot(str(tmp_path / "nowhere")), days=14)


def test_the_settings_folder_comes_first(tmp_path: Path) -> None:
    offered = CheckpointRoot(str(tmp_path / "pipeline"), "abc")
    assert checkpoint_root(offered, training()) == offered
    mine = training(checkpoint_dir=str(tmp_path / "mine"))
    assert checkpoint_root(offered, mine) == CheckpointRoot(str(tmp_path / "mine"), "abc")
    assert checkpoint_root(CheckpointRoot(""), training()) is None
    assert checkpoint_root(offered, training(checkpoint_every_steps=None)) is None


def test_a_place_out_of_reach(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Asked for, it is an error; as the pipeline's own it is a warning."""
    far = "minio://bucket/checkpoints"
    with caplog.at_level(logging.WARNING, logger="hardtower"):
        assert checkpoint_root(CheckpointRoot(far), training()) is None
    assert f"no checkpoints: {far}" in caplog.text
    for folder in (far, str(tmp_path / "file" / "below")):
        (tmp_path / "file").write_text("")
        with pytest.raises(InputError, match=r"training\.checkpoint_dir: '.*wanted a folder"):
            checkpoint_root(CheckpointRoot(""), training(checkpoint_dir=folder))


def identity(columns: Columns, weights: float = 1.0, code: str = "", **changes: object) -> str:
    settings = TrainingSettings.model_validate({"batch_size": 10} | changes)
    initial = [tf.Variable([weights], name="w")]
    parts = (columns, columns)
    recipe = Recipe(ModelSettings(), LossSettings(), settings)
    return training_identity(parts, initial, recipe, code)


def test_identity_is_what_decides_the_outcome(clicks: Clicks) -> None:
    columns = clicks(20, seed=1)
    other = dataclasses.replace(columns, label=columns.label.copy())
    other.label[7] = 1 - other.label[7]
    ones = np.ones(20, np.float32)
    weighted = dataclasses.replace(columns, weight=ones)
    names = [
        identity(columns),
        identity(dataclasses.replace(columns, completeness=ones)),
        identity(other),
        identity(weighted),
        identity(columns, weights=2.0),
        identity(columns, code="new"),
        identity(columns, seed=2),
        identity(columns, batch_size=11),
    ]
    assert len(set(names)) == len(names)
    copies = [dataclasses.replace(columns), columns.take(np.arange(20))]
    assert {identity(copy) for copy in copies} == {names[0]}
    unrelated: dict[str, Any] = {
        "checkpoint_every_steps": 3,
        "checkpoint_dir": "x",
        "warm_start": "last_blessed",
    }
    assert identity(columns, **unrelated) == names[0]


def small(
    layout: FeatureLayout, columns: Columns, calibration: Columns, root: Path, **changes: object
) -> TrainResult:
    defaults = {"batch_size": 50, "epochs": 1, "checkpoint_every_steps": 2, "gradient_examples": 0}
    return train(
        Splits(columns, calibration, layout),
        Recipe(
            ModelSettings(
                cross_layers=1,
                hidden_units=(2,),
                shared_layers=1,
                wide=WideSettings(enabled=False),
            ),
            LossSettings(),
            training(**(defaults | changes)),
        ),
        Surroundings(root=CheckpointRoot(str(root))),
    )


def test_other_data_or_settings_start_anew(
    layout: FeatureLayout, clicks: Clicks, tmp_path: Path
) -> None:
    data = clicks(300, seed=1), clicks(50, seed=2)
    first = small(layout, *data, root=tmp_path)
    assert first.resumed_from is None
    assert first.spent.written == 3
    assert small(layout, *data, root=tmp_path, checkpoint_every_steps=5).resumed_from == 6
    other = clicks(300, seed=3)
    for again in (
        small(layout, other, data[1], root=tmp_path),
        small(layout, *data, root=tmp_path, learning_rate=0.5),
    ):
        assert again.resumed_from is None
        assert again.checkpoints != first.checkpoints


def test_a_training_that_diverges_names_its_batch_and_its_checkpoint(
    layout: FeatureLayout, clicks: Clicks, tmp_path: Path
) -> None:
    columns = clicks(300, seed=1)
    # The first epoch deals the rows into six batches of fifty in this order.
    order = np.random.default_rng([training().seed, 0]).permutation(300)
    row = int(order[175])
    columns.nums[row, 0] = 1e30
    with pytest.raises(InputError) as caught:
        small(layout, columns, clicks(50, seed=2), tmp_path, epochs=3, checkpoint_every_steps=1)
    message = str(caught.value)
    assert "at step 4 (epoch 1, batch 4 of 6), rows " in message
    assert f"most extreme number is 1e+30 (feature 'price', row {row})" in message
    (folder,) = tmp_path.iterdir()
    assert f"last good checkpoint {folder}/step-3;" in message
    assert "\n" not in message
    shown = message.split("rows ")[1].split(", ...")[0].split(", ")
    assert len(shown) == 3
    assert {int(number) for number in shown} <= set(order[150:200].tolist())
