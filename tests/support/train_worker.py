"""One worker of a cluster: `TF_CONFIG=... python train_worker.py FOLDER`.

FOLDER holds `job.json` and `columns.npz` as `test_workers.py` writes them. What this worker ends
with is left in FOLDER/<rank>.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from components.trainer.data.batches import Batch
from components.trainer.data.columns import ARRAYS, Columns
from components.trainer.loop.checkpoints import CheckpointRoot
from components.trainer.loop.loop import Splits, Surroundings, TrainResult, train
from components.trainer.run_fn import run_fn
from components.trainer.settings import LossSettings, ModelSettings, Recipe, TrainingSettings
from components.trainer.step.distribution import Distribution, choose
from components.trainer.step.loss import Losses
from components.trainer.step.replicated import WorkerLostError
from components.trainer.step.step import TrainStep
from components.transform.layout import FeatureLayout


class Job:
    """What both workers do, and this one's folder for it."""

    def __init__(self, folder: Path, distribution: Distribution) -> None:
        self.folder = folder
        self.distribution = distribution
        self.form: dict[str, Any] = json.loads((folder / "job.json").read_text())
        self.own = folder / ("chief" if distribution.chief else "worker")
        self.own.mkdir()
        arrays = np.load(folder / "columns.npz")
        parts: list[dict[str, Any]] = [
            {name: arrays.get(f"{split}/{name}") for name in ARRAYS}
            for split in ("train", "calibration")
        ]
        self.examples, self.calibration = (Columns(**part) for part in parts)

    def train(self, changes: dict[str, Any], **more: Any) -> TrainResult:
        return train(
            Splits(self.examples, self.calibration, FeatureLayout(**self.form["layout"])),
            Recipe(
                ModelSettings.model_validate(self.form["model"]),
                LossSettings(),
                TrainingSettings.model_validate(self.form["training"] | changes),
            ),
            Surroundings(distribution=self.distribution, **more),
        )

    def keep(self, name: str, result: TrainResult) -> None:
        np.savez(self.own / name, **{v.name: v.numpy() for v in result.network.variables})
        summary = {
            "history": result.history,
            "kept_step": result.kept_step,
            "resumed_from": result.resumed_from,
        }
        (self.own / f"{name}.json").write_text(json.dumps(summary))


def gone_on_with(job: Job, name: str, changes: dict[str, Any]) -> None:
    """Trains to the end, and again from the checkpoint that lay there at the first look."""
    folder, kept = job.folder / "checkpoints", job.folder / "checkpoints_at_first_look"

    def at_look(row: Any) -> None:
        if not kept.exists():
            shutil.copytree(folder, kept)

    job.keep(name, job.train(changes, root=CheckpointRoot(str(folder)), progress=at_look))
    job.distribution.wait()
    job.keep("resumed", job.train(changes, root=CheckpointRoot(str(kept))))


class KilledAtThirdStep(Distribution):
    """A process that ends as when it is evicted or out of memory."""

    def spread(self, step: TrainStep) -> Callable[[Batch], Losses]:
        take, taken = super().spread(step), itertools.count(1)

        def one(batch: Batch) -> Losses:
            if next(taken) == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            return take(batch)

        return one


def left_alone(job: Job) -> str:
    """How training ends when the other worker is killed at its third step."""
    if not job.distribution.chief:
        job.distribution = KilledAtThirdStep(job.distribution.strategy, job.distribution.cluster)
    try:
        job.train({})
    except WorkerLostError as error:
        return str(error)
    return "trained to the end"


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(name)s %(message)s")
    folder = Path(sys.argv[1])
    job = Job(folder, choose("auto"))
    (name, changes), *others = job.form["variants"].items()
    gone_on_with(job, name, changes)
    for name, changes in others:
        job.keep(name, job.train(changes))
    arguments = SimpleNamespace(**job.form["fn_args"])
    arguments.model_run_dir = str(job.own / "run")
    arguments.serving_model_dir = str(job.own / "model" / "Format-Serving")
    run_fn(arguments)
    (job.own / "left_alone").write_text(left_alone(job))


if __name__ == "__main__":
    main()
