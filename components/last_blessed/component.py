"""TFX face of the node that reads the last blessed model."""

from __future__ import annotations

import json

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.orchestration.data_types import RuntimeParameter
from tfx.types import channel_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from common.runs.info import RunInfo
from common.runs.parameters import RUN_PARAMETERS
from common.runs.properties import ParameterValues, chosen, execution_parameters
from components.example_gen.artifacts import IngestReport
from components.last_blessed.executor import Executor


class LastBlessedSpec(ComponentSpec):
    """Push folder in, model out."""

    PARAMETERS = {
        "serving_dir": ExecutionParameter(type=str),
        "fingerprint": ExecutionParameter(type=str),
        "out_dir": ExecutionParameter(type=str, optional=True),
        "config": ExecutionParameter(type=str, optional=True),
        "code_version": ExecutionParameter(type=str, optional=True),
        **execution_parameters(RUN_PARAMETERS),
    }
    INPUTS = {"ingest": ChannelParameter(type=IngestReport, optional=True)}
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
      fingerprint: `ServingFolder.fingerprint` of it, so that a push invalidates cached results.
      run: tells versions that earlier attempts at it left, which are passed over
        (`common.versions.attempt`).
      out_dir: folder of the runs' reports.
      parameters: of the run; `as_of` is for a run without `ingest`.
      ingest: carries the date that the run's ingest has settled on.
    """

    SPEC_CLASS = LastBlessedSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        serving_dir: str | RuntimeParameter,
        fingerprint: str | RuntimeParameter,
        run: RunInfo,
        out_dir: str | RuntimeParameter,
        ingest: types.BaseChannel | None = None,
        parameters: ParameterValues | None = None,
    ) -> None:
        spec = LastBlessedSpec(
            serving_dir=serving_dir,
            fingerprint=fingerprint,
            out_dir=out_dir,
            config=json.dumps(dict(run.config), sort_keys=True),
            code_version=run.code_version,
            **chosen(RUN_PARAMETERS, parameters),
            ingest=ingest,
            model=channel_utils.as_channel([standard_artifacts.Model()]),
        )
        super().__init__(spec=spec)
