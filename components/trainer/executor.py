"""Lays the run's parameters over the settings and hands them to TFX's Trainer, if it shall run."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from tfx import types
from tfx.components.trainer.executor import GenericExecutor
from tfx.types import artifact_utils

from common.files.gfile import read_json
from common.runs.blessing import once_blessed
from common.runs.files import TrainingFile
from common.runs.parameters import LOSS, TRAINING, changed
from components.trainer.settings import LossSettings, TrainingSettings
from schemas.base import Frozen

CUSTOM_CONFIG = "custom_config"
SECTIONS: dict[str, type[Frozen]] = {LOSS: LossSettings, TRAINING: TrainingSettings}
"""Keys of the custom config that have parameters."""


JUDGED_RUN = "judged_run"
"""Input of a served fit."""


def kept_passes(model_run: str) -> float | None:
    """The passes that a training kept where its guard ended it; None where it kept all."""
    record = read_json(f"{model_run}/{TrainingFile.RECORD}")
    return None if record["stopped_by"] == "epochs" else float(record["kept_passes"])


class Executor(GenericExecutor):
    """Executor of `HardTowerTrainer`."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        config = json.loads(exec_properties[CUSTOM_CONFIG])
        for section, settings in SECTIONS.items():
            text = json.dumps(config[section])
            laid_over = changed(settings, text, section, exec_properties)
            config[section] = laid_over.model_dump(mode="json")
        if judged := input_dict.get(JUDGED_RUN):
            config["passes"] = kept_passes(artifact_utils.get_single_uri(judged))
        properties = exec_properties | {CUSTOM_CONFIG: json.dumps(config)}
        train = partial(super().Do, input_dict, output_dict, properties)
        once_blessed("Trainer", input_dict, output_dict, properties, train)
