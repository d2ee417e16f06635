"""The TFX face of the report, run by TFX's own local runner."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tfx import types
from tfx import v1 as tfx
from tfx.types import standard_artifacts

from common.runs.info import RunInfo
from common.versions.manifest import Manifest
from components.data_gate.artifacts import DataVerdict
from components.example_gen.artifacts import IngestReport
from components.reporter.artifacts import Report
from components.reporter.component import RunReport
from components.reporter.executor import Executor
from components.task_labeler.artifacts import TaskAssignments
from schemas.errors import InputError

INPUTS: dict[str, tuple[str, type[types.Artifact]]] = {
    "evaluation": ("evaluation", standard_artifacts.ModelEvaluation),
    "task_assignments": ("task_assignments", TaskAssignments),
    "candidate_run": ("candidate", standard_artifacts.ModelRun),
    "one_task_run": ("one_task", standard_artifacts.ModelRun),
    "pushed": ("pushed", standard_artifacts.PushedModel),
    "gate": ("gate", DataVerdict),
    "ingest": ("ingest", IngestReport),
    "last_blessed": ("last_blessed", standard_artifacts.Model),
}


def execute(
    root: Path, out_dir: str, run: RunInfo, inputs: dict[str, list[types.Artifact]]
) -> Path:
    report = Report()
    report.uri = str(root / "value")
    Executor().Do(inputs, {"report": [report]}, {"out_dir": out_dir, "run": run.model_dump_json()})
    return Path(report.uri)


def test_a_run_of_the_pipeline_ends_with_a_report(tmp_path: Path, whole_run: Path) -> None:
    importers = {
        key: tfx.dsl.Importer(source_uri=str(whole_run / folder), artifact_type=kind).with_id(key)
        for key, (folder, kind) in INPUTS.items()
    }
    report = RunReport(
        out_dir=str(tmp_path / "out"),
        run=RunInfo(seed=11, contract="shop", config={"name": "shop"}),
        **{key: importer.outputs["result"] for key, importer in importers.items()},
    )
    metadata = tfx.orchestration.metadata.sqlite_metadata_connection_config(
        str(tmp_path / "metadata.sqlite")
    )
    tfx.orchestration.LocalDagRunner().run(
        tfx.dsl.Pipeline(
            pipeline_name="reporting",
            pipeline_root=str(tmp_path / "root"),
            components=[*importers.values(), report],
            metadata_connection_config=metadata,
        )
    )

    (folder,) = (tmp_path / "out" / "runs").iterdir()
    assert {path.name for path in folder.iterdir()} == {
        "report.html",
        "metrics.json",
        "comparisons.json",
        "figures.json",
        "manifest.json",
    }
    written = (whole_run / "evaluation" / "metrics.json").read_text()
    assert json.loads((folder / "metrics.json").read_text()) == json.loads(written)
    manifest = Manifest.model_validate_json((folder / "manifest.json").read_text())
    # Nobody named the run: the orchestrator's id does.
    assert manifest.run_id == folder.name
    assert manifest.data.as_of == "2026-02-01"
    assert manifest.verdict.baseline == "version 41"
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "Blessed and pushed as version 1770000000" in page
    (artifact,) = (tmp_path / "root" / "RunReport" / "report").rglob("value")
    assert artifact.read_text(encoding="utf-8") == page


def test_without_a_folder_only_the_artifact_is_written(tmp_path: Path) -> None:
    page = execute(tmp_path, "", RunInfo(), {}).read_text(encoding="utf-8")
    assert "This run has no verdict" in page
    assert [path.name for path in tmp_path.iterdir()] == ["value"]


def test_a_bucket_is_no_output_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="out_dir: 's3://bucket/out'"):
        execute(tmp_path, "s3://bucket/out", RunInfo(run_id="r1"), {})
