"""Trainings killed in processes of their own, gone on with, against the same one undisturbed."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

TRAIN = """
import json, logging, os, resource, signal, sys
from pathlib import Path
import numpy as np
import tensorflow as tf
from components.trainer.loop.checkpoints import CheckpointRoot, Checkpoints
from components.trainer.data.columns import Columns
from components.trainer.loop.loop import Splits, Surroundings, train
from components.trainer.settings import Recipe, LossSettings, ModelSettings, TrainingSettings
from components.transform.layout import FeatureLayout

folder = Path(sys.argv[1])
LAYOUT = FeatureLayout(("site", "hour"), (40, 5), (4, 2), ("price",))


def clicks(n, seed):
    rng = np.random.default_rng(seed)
    ids = np.stack([rng.integers(0, rows, n) for rows in LAYOUT.rows], axis=1).astype(np.int32)
    price = rng.standard_normal(n)
    label = rng.random(n) < 1 / (1 + np.exp(1 - price))
    nums = np.stack([price, np.zeros(n)], axis=1).astype(np.float32)
    cvr = rng.random(n).astype(np.float32)
    return Columns(ids, nums, label.astype(np.float32), rng.random(n) < 0.5, cvr)


def training(name, seed=1, kill=None, keep=False, every=4):
    def progress(row):
        if kill == row["step"]:
            os.kill(os.getpid(), signal.SIGKILL)

    settings = TrainingSettings(
        batch_size=50, epochs=12, learning_rate=0.03, evaluate_every=0.5, patience=4, seed=seed,
        checkpoint_every_steps=every, checkpoint_every_seconds=None, gradient_examples=0,
    )
    model = ModelSettings(cross_layers=1, hidden_units=(8,), shared_layers=1, dropout=0.3)
    root = CheckpointRoot(str(folder / name)) if keep else None
    result = train(
        Splits(clicks(500, 1), clicks(300, 2), LAYOUT),
        Recipe(model, LossSettings(), settings),
        Surroundings(progress=progress, root=root),
    )
    arrays = {v.name: v.numpy() for v in result.network.variables}
    with open(folder / f"{name}.npz", "wb") as file:
        np.savez(file, **arrays)
    (folder / f"{name}.json").write_text(json.dumps({
        "history": result.history, "kept_step": result.kept_step,
        "stopped_by": result.stopped_by, "resumed_from": result.resumed_from,
        "written": result.spent.written,
    }))


def die_in_the_nth_save(n, how):
    save, seen = Checkpoints.save, []

    def wrapped(self, *args):
        seen.append(None)
        if len(seen) == n:
            how()
        return save(self, *args)

    Checkpoints.save = wrapped


def while_writing():
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (700, 700))


def before_naming():
    tf.train.CheckpointManager._record_state = lambda self: os.kill(os.getpid(), signal.SIGKILL)


def after_naming():
    record = tf.train.CheckpointManager._record_state

    def recorded(self):
        record(self)
        os.kill(os.getpid(), signal.SIGKILL)

    tf.train.CheckpointManager._record_state = recorded


def child(run):
    pid = os.fork()
    if not pid:
        try:
            run()
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status)


def killed(how, n):
    def run():
        die_in_the_nth_save(n, how)
        training("killed", keep=True)

    return child(run)


logging.basicConfig(filename=folder / "log", format="%(message)s", level=logging.INFO)
ended = [
    child(lambda: training("undisturbed")),
    child(lambda: training("killed", keep=True, kill=5)),
    killed(while_writing, 3),
    killed(before_naming, 2),
    killed(after_naming, 2),
    child(lambda: training("killed", keep=True)),
]
print(json.dumps(ended))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of the two trainings."""
    folder = tmp_path_factory.mktemp("resume")
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    kill, too_large = int(signal.SIGKILL), int(signal.SIGXFSZ)
    assert json.loads(done.stdout) == [0, kill, too_large, kill, kill, 0], done.stderr[-2000:]
    return folder


def outcome(folder: Path, name: str) -> dict[str, Any]:
    form: dict[str, Any] = json.loads((folder / f"{name}.json").read_text())
    for row in form["history"]:
        assert row.pop("examples_per_second") > 0
    return form


def test_it_ends_as_if_nothing_had_happened(folder: Path) -> None:
    wanted, found = outcome(folder, "undisturbed"), outcome(folder, "killed")
    assert wanted["stopped_by"] == "guard"
    assert wanted["kept_step"] < wanted["history"][-1]["step"]
    for key in ("history", "kept_step", "stopped_by"):
        assert found[key] == wanted[key]
    with np.load(folder / "undisturbed.npz") as before, np.load(folder / "killed.npz") as after:
        assert before.files == after.files
        for variable in before.files:
            np.testing.assert_array_equal(after[variable], before[variable])


def test_each_goes_on_from_the_last_whole_checkpoint(folder: Path) -> None:
    """Killed after 4; in the middle of writing 16; with 20 written, not named; with 24 named."""
    steps = re.findall(r"going on at step (\d+) from", (folder / "log").read_text())
    assert steps == ["4", "12", "16", "24"]
    assert outcome(folder, "undisturbed")["resumed_from"] is None
    assert outcome(folder, "killed")["resumed_from"] == 24


def test_the_newest_are_kept(folder: Path) -> None:
    (kept,) = (folder / "killed").iterdir()
    last = outcome(folder, "killed")["history"][-1]["step"]
    written = [step for step in range(4, last, 4) if step > 24]
    assert outcome(folder, "killed")["written"] == len(written)
    newest = {f"step-{step}" for step in [24, *written][-2:]}
    # What was being named when the process died is no longer in the list of what to remove.
    assert newest <= {p.stem for p in kept.glob("*.index")} <= {*newest, "step-20"}
