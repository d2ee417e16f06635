"""What the child processes of experiment tests are started with."""

from __future__ import annotations

import json
from pathlib import Path

from components.trainer.settings import LossSettings, ModelSettings, TrainingSettings
from labs.experiment.studies.arms import Settings
from labs.experiment.trainings.data import FrozenData


def settings_of(text: str) -> Settings:
    """The settings whose `dump` was written as JSON."""
    raw = json.loads(text)
    return Settings(
        ModelSettings.model_validate(raw["model"]),
        LossSettings.model_validate(raw["loss"]),
        TrainingSettings.model_validate(raw["training"]),
    )


def frozen_in(folder: Path) -> FrozenData:
    """The data that a test has put into a folder."""
    return FrozenData(folder, "key0", json.loads((folder / "data.json").read_text()))
