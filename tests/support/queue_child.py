"""Works off four trainings in two workers of a process that a test kills."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from components.experiment.arms import Settings
from components.experiment.cuts import Sample
from components.experiment.data import FrozenData
from components.experiment.queue import work_off
from components.experiment.store import Store
from components.experiment.training import Task
from components.trainer.settings import LossSettings, ModelSettings, TrainingSettings


def main(data: Path, store: Path, settings: str) -> None:
    raw = json.loads(settings)
    chosen = Settings(
        ModelSettings.model_validate(raw["model"]),
        LossSettings.model_validate(raw["loss"]),
        TrainingSettings.model_validate(raw["training"]),
    )
    frozen = FrozenData(data, "key0", json.loads((data / "data.json").read_text()))
    made = [Task(frozen, chosen, seed, Sample()) for seed in range(4)]
    tasks = {task.key("code"): (f"seed {task.seed}", task) for task in made}
    work_off(tasks, Store(store), 2, lambda _: None)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
