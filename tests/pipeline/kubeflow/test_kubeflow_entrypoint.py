"""Steps run as their containers run them, with a folder in the place of the container's root."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.tfx

ROOT = "minio://bucket/root/small/run-1"


@pytest.fixture
def minio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where files of `minio://` are."""
    from pipeline.runners.kubeflow import uris

    monkeypatch.setitem(uris.FOLDERS, "minio://", f"{tmp_path}/minio/")
    monkeypatch.delenv("KFP_RUN_ID", raising=False)
    return tmp_path / "minio"


def step_of(pipeline: Any, step: str) -> tuple[dict[str, Any], list[str], dict[str, Any]]:
    """The constants, arguments and output definitions of a compiled step."""
    dags = (pipeline.spec["root"]["dag"], pipeline.spec["components"]["comp-tfx-dag"]["dag"])
    [task] = [dag["tasks"][step] for dag in dags if step in dag["tasks"]]
    constants = {
        name: source["runtimeValue"]["constant"]
        for name, source in task["inputs"]["parameters"].items()
        if "runtimeValue" in source
    }
    container = pipeline.spec["deploymentSpec"]["executors"][f"exec-{step}"]["container"]
    component = pipeline.spec["components"][f"comp-{step}"]
    return constants, container["args"], component["outputDefinitions"]["artifacts"]


def run(pipeline: Any, step: str, answer: Path, **parameters: Any) -> dict[str, Any]:
    """Runs one step; output -> artifact of its answer."""
    from pipeline.runners.kubeflow import entrypoint

    constants, arguments, definitions = step_of(pipeline, step)
    definitions["executor-logs"] = {"artifactType": {"schemaTitle": "system.Artifact"}}
    invocation = {
        "inputs": {"parameterValues": constants | parameters},
        "outputs": {
            "artifacts": {
                name: {
                    "artifacts": [
                        {"uri": f"{ROOT}/{step}/1/{name}", "type": definition["artifactType"]}
                    ]
                }
                for name, definition in definitions.items()
            },
            "outputFile": str(answer),
        },
    }
    entrypoint.main([argument.replace("{{$}}", json.dumps(invocation)) for argument in arguments])
    written = json.loads(answer.read_text())
    assert ": null" not in answer.read_text()
    return {name: entry["artifacts"][0] for name, entry in written["artifacts"].items()}


def test_outputs_lie_where_the_launcher_looks_and_are_told_by_uri(
    kfp_pipeline: Any, minio: Path, tmp_path: Path
) -> None:
    answer = tmp_path / "kfp_outputs" / "output_metadata.json"
    outputs = run(kfp_pipeline, "ContractSchema", answer)
    assert {name: artifact["uri"] for name, artifact in outputs.items()} == {
        "schema": f"{ROOT}/ContractSchema/1/schema",
        "feature_schema": f"{ROOT}/ContractSchema/1/feature_schema",
    }
    schema = minio / "bucket/root/small/run-1/ContractSchema/1/feature_schema/schema.pbtxt"
    assert 'name: "campaign"' in schema.read_text()


def test_the_exit_handler_runs_with_an_id_that_no_one_filled_in(
    kfp_pipeline: Any, minio: Path, tmp_path: Path
) -> None:
    places = {"out_dir": str(tmp_path / "out"), "serving_dir": str(tmp_path / "serving")}
    status = {"state": "FAILED", "error": {"message": "no clicks"}}
    answer = tmp_path / "output_metadata.json"
    outputs = run(kfp_pipeline, "RunVerdict", answer, final_status=status, **places)
    page = minio / "bucket/root/small/run-1/RunVerdict/1/verdict"
    assert outputs["verdict"]["uri"] == f"{ROOT}/RunVerdict/1/verdict"
    folder = tmp_path / "out" / "runs" / "run-1"
    assert page.read_text() == (folder / "verdict.html").read_text()
    verdict = json.loads((folder / "verdict.json").read_text())
    assert (verdict["status"], verdict["error"]) == ("FAILED", "no clicks")


def test_bad_input_ends_the_step_with_one_line(
    kfp_pipeline: Any, minio: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(kfp_pipeline, "LastBlessed", tmp_path / "a.json", serving_dir="s3://b", as_of="")
    assert stopped.value.code == 2
    assert "Error: serving_dir: 's3://b' is not a path" in capsys.readouterr().err
