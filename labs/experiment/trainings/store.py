"""Finished trainings on disk, each whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from labs.experiment.trainings.training import TrainedJob

RECORD = "training.json"


class Store:
    """A folder with one folder a finished training, named by its key.

    A training appears by one rename, so that a kill leaves nothing that looks finished.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def has(self, key: str) -> bool:
        return (self._folder / key / RECORD).is_file()

    def keep(self, key: str, outcome: TrainedJob, identity: dict[str, Any]) -> None:
        """Stores a training; of two that finish at once the first stays."""
        staging = self._folder / f".{key}.partial-{os.getpid()}"
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        for name, values in outcome.predictions.items():
            np.save(staging / f"{name}.npy", values)
        record = {**identity, **outcome.record}
        (staging / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        try:
            os.replace(staging, self._folder / key)
        except OSError:
            if not self.has(key):
                raise
            shutil.rmtree(staging)

    def predictions(self, key: str, name: str) -> npt.NDArray[np.float32]:
        """An array of a stored training."""
        array: npt.NDArray[np.float32] = np.load(self._folder / key / f"{name}.npy")
        return array

    def record(self, key: str) -> dict[str, Any]:
        """What was recorded of a stored training."""
        text = (self._folder / key / RECORD).read_text(encoding="utf-8")
        record: dict[str, Any] = json.loads(text)
        return record
