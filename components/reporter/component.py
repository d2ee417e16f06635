"""The TFX face of the run report."""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.orchestration.data_types import RuntimeParameter
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ExecutionParameter

from common.runs.info import RUN_ID, RunInfo
from common.runs.parameters import RUN_PARAMETERS
from common.runs.properties import ParameterValues, chosen, execution_parameters
from components.data_gate.artifacts import DataVerdict
from components.example_gen.artifacts import IngestReport
from components.reporter.artifacts import Report
from components.reporter.executor import Executor
from components.task_labeler.artifacts import TaskAssignments


class RunReportSpec(types.ComponentSpec):
    """Inputs, outputs and execution properties of the run report."""

    INPUTS = {
        "evaluation": ChannelParameter(type=standard_artifacts.ModelEvaluation, optional=True),
        "task_assignments": ChannelParameter(type=TaskAssignments, optional=True),
        "candidate_run": ChannelParameter(type=standard_artifacts.ModelRun, optional=True),
        "one_task_run": ChannelParameter(type=standard_artifacts.ModelRun, optional=True),
        "pushed": ChannelParameter(type=standard_artifacts.PushedModel, optional=True),
        "gate": ChannelParameter(type=DataVerdict, optional=True),
        "ingest": ChannelParameter(type=IngestReport, optional=True),
        "last_blessed": ChannelParameter(type=standard_artifacts.Model, optional=True),
    }
    OUTPUTS = {"report": ChannelParameter(type=Report)}
    PARAMETERS = {
        "out_dir": ExecutionParameter(type=str),
        "run": ExecutionParameter(type=str),
        RUN_ID: ExecutionParameter(type=str),
        **execution_parameters(RUN_PARAMETERS),
    }


class RunReport(base_component.BaseComponent):
    """Writes one self-contained HTML page per run, and `runs/<run_id>/` under the output folder.

    Output `report`: a `Report`, whose URI is the page itself. Every input may be left out; the page
    says what is missing.
    """

    SPEC_CLASS = RunReportSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        out_dir: str | RuntimeParameter,
        run: RunInfo,
        evaluation: types.BaseChannel | None = None,
        task_assignments: types.BaseChannel | None = None,
        candidate_run: types.BaseChannel | None = None,
        one_task_run: types.BaseChannel | None = None,
        pushed: types.BaseChannel | None = None,
        gate: types.BaseChannel | None = None,
        ingest: types.BaseChannel | None = None,
        last_blessed: types.BaseChannel | None = None,
        parameters: ParameterValues | None = None,
    ) -> None:
        """
        Args:
          out_dir: folder under which `runs/<run_id>/{report.html,metrics.json,comparisons.json,
            figures.json,manifest.json}` and `index.html` are written; empty writes the artifact
            only.
          run: provenance.
          evaluation: `ModelEvaluation` of the evaluator.
          task_assignments: `TaskAssignments` of the task labeller.
          candidate_run, one_task_run: `ModelRun` of the two trainers.
          pushed: `PushedModel` of the pusher.
          gate: `DataVerdict` of the data gate.
          ingest: `IngestReport` of the ingest.
          last_blessed: `Model` that served when the run began, to tell what has changed since.
          parameters: of the run, shown in its config.
        """
        super().__init__(
            RunReportSpec(
                evaluation=evaluation,
                task_assignments=task_assignments,
                candidate_run=candidate_run,
                one_task_run=one_task_run,
                pushed=pushed,
                gate=gate,
                ingest=ingest,
                last_blessed=last_blessed,
                out_dir=out_dir,
                run=run.text,
                run_id=run.run_id,
                **chosen(RUN_PARAMETERS, parameters),
                report=types.Channel(type=Report),
            )
        )
