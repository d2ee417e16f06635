"""Stages that have nothing to do where the run's model was not blessed."""

from __future__ import annotations

import logging

from tfx import types
from tfx.components.util import model_utils
from tfx.dsl.io import fileio
from tfx.types import artifact_utils

BLESSING = "blessing"
"""Input of such a stage, optional: without it the stage runs."""

SKIPPED_FILE = "SKIPPED"
"""Stands in place of what the stage would have written: object stores know no empty folders."""

logger = logging.getLogger("hardtower")

Artifacts = dict[str, list[types.Artifact]]


def withheld(stage: str, input_dict: Artifacts, output_dict: Artifacts) -> bool:
    """Whether a stage waits for a blessing that was not given; marks its outputs then.

    TFX's conditions are not known to every orchestrator, so that the stage runs and returns.
    """
    if not (artifacts := input_dict.get(BLESSING)):
        return False
    if model_utils.is_model_blessed(artifact_utils.get_single_instance(artifacts)):
        return False
    logger.info("%s: skipped, the recipe was not blessed", stage)
    for output in output_dict.values():
        for artifact in output:
            fileio.makedirs(artifact.uri)
            with fileio.open(f"{artifact.uri}/{SKIPPED_FILE}", "w") as file:
                file.write("the recipe was not blessed\n")
    return True
