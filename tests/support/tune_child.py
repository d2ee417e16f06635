"""A search in a process that a test kills."""

from __future__ import annotations

import sys
from pathlib import Path

from experiment_settings import frozen_in, settings_of

from labs.experiment.studies.arms import Settings
from labs.experiment.studies.cuts import Subsample
from labs.experiment.trainings.data import FrozenData
from labs.experiment.tune import Search, run_search

NAMES = ("training.learning_rate", "model.dropout", "model.shared_layers", "loss.weight_hard")


def search_of(data: FrozenData, settings: Settings, trials: int, seed: int = 5) -> Search:
    return Search(data, settings, NAMES, trials, 1, seed, Subsample(), "code")


def main(data: Path, folder: Path, settings: str) -> None:
    chosen, frozen = settings_of(settings), frozen_in(data)
    run_search(search_of(frozen, chosen, 3), folder, lambda *_: None)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
