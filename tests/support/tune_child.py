"""A search in a process that a test kills."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from components.experiment.arms import Settings
from components.experiment.cuts import Sample
from components.experiment.data import FrozenData
from components.experiment.tune import Search, run_search
from components.trainer.settings import LossSettings, ModelSettings, TrainingSettings

NAMES = ("training.learning_rate", "model.dropout", "model.shared_layers", "loss.weight_hard")


def search_of(data: FrozenData, settings: Settings, trials: int, seed: int = 5) -> Search:
    return Search(data, settings, NAMES, trials, 1, seed, Sample(), "code")


def main(data: Path, folder: Path, settings: str) -> None:
    raw = json.loads(settings)
    chosen = Settings(
        ModelSettings.model_validate(raw["model"]),
        LossSettings.model_validate(raw["loss"]),
        TrainingSettings.model_validate(raw["training"]),
    )
    frozen = FrozenData(data, "key0", json.loads((data / "data.json").read_text()))
    run_search(search_of(frozen, chosen, 3), folder, lambda *_: None)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
