"""Hands on to TFX's Transform, once the recipe is blessed where it waits for that."""

from __future__ import annotations

from functools import partial
from typing import Any

from tfx import types
from tfx.components.transform import executor

from common.runs.blessing import once_blessed


class Executor(executor.Executor):
    """Executor of `FeatureTransform`."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        analyse = partial(super().Do, input_dict, output_dict, exec_properties)
        once_blessed("Transform", input_dict, output_dict, exec_properties, analyse)
