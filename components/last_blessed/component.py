"""TFX face of the node that reads the last blessed model."""

from __future__ import annotations

from tfx.dsl.components.base import base_component, executor_spec
from tfx.orchestration.data_types import RuntimeParameter
from tfx.types import channel_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.last_blessed.executor import Executor


class LastBlessedSpec(ComponentSpec):
    """Push folder in, model out."""

    PARAMETERS = {
        "serving_dir": ExecutionParameter(type=str),
        "fingerprint": ExecutionParameter(type=str),
        "as_of": ExecutionParameter(type=str),
    }
    INPUTS: dict[str, ChannelParameter] = {}
    OUTPUTS = {"model": ChannelParameter(type=standard_artifacts.Model)}


class LastBlessed(base_component.BaseComponent):
    """Copies the newest version of the push folder.

    Stands where other pipelines have a Resolver, which open-source Kubeflow cannot run: what is
    compared with is what serves, on every orchestrator, and needs no metadata store.

    Output `model`: `Format-Serving` with the SavedModel, custom properties `version`,
    `manifest_digest` and `as_of`, and the same in `last_blessed.json`. Before the first push there
    is no `Format-Serving`, and version and digest are empty.

    Args:
      serving_dir: the push folder.
      fingerprint: `find.fingerprint` of it, so that a push invalidates cached results.
      as_of: ISO date of the run; empty for the day on which it runs.
    """

    SPEC_CLASS = LastBlessedSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        serving_dir: str | RuntimeParameter,
        fingerprint: str | RuntimeParameter,
        as_of: str | RuntimeParameter = "",
    ) -> None:
        spec = LastBlessedSpec(
            serving_dir=serving_dir,
            fingerprint=fingerprint,
            as_of=as_of,
            model=channel_utils.as_channel([standard_artifacts.Model()]),
        )
        super().__init__(spec=spec)
