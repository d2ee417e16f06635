"""The TFX face of the run's verdict."""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types.component_spec import ChannelParameter, ExecutionParameter

from common.runs.info import RUN_ID
from components.reporter.artifacts import Report
from components.run_verdict.executor import Executor


class RunVerdictSpec(types.ComponentSpec):
    """Status of a run in, verdict out."""

    INPUTS: dict[str, ChannelParameter] = {}
    OUTPUTS = {"verdict": ChannelParameter(type=Report)}
    PARAMETERS = {
        "final_status": ExecutionParameter(type=str),
        RUN_ID: ExecutionParameter(type=str),
        "out_dir": ExecutionParameter(type=str),
        "serving_dir": ExecutionParameter(type=str),
    }


class RunVerdict(base_component.BaseComponent):
    """An exit handler: writes `runs/<run_id>/verdict.{json,html}`, after failures too.

    It takes no artifacts, which an exit handler cannot have: it reads what the run left in the
    folder of runs and in the push folder.

    Args:
      final_status: a `PipelineTaskFinalStatus` in JSON, or what the orchestrator replaces by it.
      run_id: of the run.
      out_dir: folder under which `runs/<run_id>/` is.
      serving_dir: push folder.
    """

    SPEC_CLASS = RunVerdictSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, *, final_status: str, run_id: str, out_dir: str, serving_dir: str) -> None:
        super().__init__(
            RunVerdictSpec(
                final_status=final_status,
                run_id=run_id,
                out_dir=out_dir,
                serving_dir=serving_dir,
                verdict=types.Channel(type=Report),
            )
        )
