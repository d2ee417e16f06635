"""Hands on to TFX's Transform, unless a blessing is missing."""

from __future__ import annotations

from typing import Any

from tfx import types
from tfx.components.transform import executor

from common.runs.blessing import withheld


class Executor(executor.Executor):
    """Executor of `FeatureTransform`."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        if not withheld("Transform", input_dict, output_dict):
            super().Do(input_dict, output_dict, exec_properties)
