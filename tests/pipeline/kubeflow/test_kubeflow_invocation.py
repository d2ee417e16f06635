"""What passes between Kubeflow's launcher and TFX's executors."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.runners.kubeflow.invocation import (
    answered,
    localised,
    run_id_of,
    with_declared_types,
    with_plain_parameters,
)
from pipeline.runners.kubeflow.targets import Target
from pipeline.runners.kubeflow.uris import to_local, to_remote


@pytest.mark.parametrize(
    ("uri", "target", "path"),
    [
        ("minio://bucket/a/b", "kfp", "/minio/bucket/a/b"),
        ("s3://bucket/a", "kfp", "/s3/bucket/a"),
        ("gs://bucket/a", "kfp", "/gcs/bucket/a"),
        ("gs://bucket/a", "vertex", "gs://bucket/a"),
        ("/out/artifacts/a", "kfp", "/out/artifacts/a"),
    ],
)
def test_a_uri_and_the_folder_of_its_files(uri: str, target: Target, path: str) -> None:
    assert to_local(uri, target) == path


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("/minio/one/a/b", "minio://one/a/b"),
        ("/minio/one", "minio://one"),
        ("/minio/oneself/a", "/minio/oneself/a"),
        ("/gcs/two/a", "gs://two/a"),
        ("/mnt/serving/7", "/mnt/serving/7"),
        ("words about /minio/one", "words about /minio/one"),
    ],
)
def test_only_paths_of_the_buckets_become_uris(path: str, uri: str) -> None:
    assert to_remote(path, frozenset({"minio://one", "gs://two"})) == uri


def invocation(scheme: str = "minio") -> dict[str, Any]:
    root = f"{scheme}://bucket/root/small/run-1"
    return {
        "inputs": {
            "parameterValues": {"run_id": "{{$.pipeline_job_uuid}}", "alpha": 0.1},
            "artifacts": {"model": {"artifacts": [{"uri": f"{root}/Trainer/1/model"}]}},
        },
        "outputs": {
            "artifacts": {
                "blessing": {"artifacts": [{"uri": f"{root}/Evaluator/2/blessing"}]},
                "executor-logs": {"artifacts": [{"uri": f"{root}/Evaluator/2/executor-logs"}]},
            },
            "outputFile": "/tmp/kfp_outputs/output_metadata.json",
        },
    }


def test_artifacts_are_looked_for_where_the_launcher_puts_them() -> None:
    given = invocation()
    local = localised(given, "kfp")
    [model] = local["inputs"]["artifacts"]["model"]["artifacts"]
    assert model["uri"] == "/minio/bucket/root/small/run-1/Trainer/1/model"
    assert set(local["outputs"]["artifacts"]) == {"blessing"}
    assert given == invocation()


def test_the_answer_names_the_bucket_again_and_holds_no_null() -> None:
    place = "/minio/bucket/root/small/run-1"
    answer = {
        "artifacts": {
            "blessing": {
                "artifacts": [
                    {
                        "uri": f"{place}/Evaluator/2/blessing",
                        "metadata": {
                            "blessed": 1.0,
                            "current_model": f"{place}/Trainer/1/model",
                            "baseline_model": None,
                            "pushed_destination": "/mnt/serving/7",
                        },
                    }
                ]
            }
        }
    }
    [blessing] = answered(answer, invocation(), "kfp")["artifacts"]["blessing"]["artifacts"]
    assert blessing == {
        "uri": "minio://bucket/root/small/run-1/Evaluator/2/blessing",
        "metadata": {
            "blessed": 1.0,
            "current_model": "minio://bucket/root/small/run-1/Trainer/1/model",
            "pushed_destination": "/mnt/serving/7",
        },
    }


def test_on_vertex_buckets_are_read_as_they_are() -> None:
    given = invocation("gs")
    local = localised(given, "vertex")
    assert local["inputs"] == given["inputs"]
    answer = {"artifacts": {"a": {"artifacts": [{"uri": "/gcs/bucket/folder"}]}}}
    assert answered(answer, given, "vertex") == answer


@pytest.mark.parametrize(
    ("environment", "found"), [({"KFP_RUN_ID": "r-7"}, "r-7"), ({}, "run-1"), ({"X": "y"}, "run-1")]
)
def test_the_run_has_a_name_where_the_back_end_gives_none(
    environment: dict[str, str], found: str
) -> None:
    assert run_id_of(invocation(), environment, "KFP_RUN_ID") == found


def test_parameters_are_plain() -> None:
    given = invocation()
    values = given["inputs"]["parameterValues"]
    values |= {"status": {"state": "FAILED"}, "nothing": None, "text": "{{$.a"}
    plain = with_plain_parameters(given, "r-7")["inputs"]["parameterValues"]
    assert plain == {
        "run_id": "r-7",
        "alpha": 0.1,
        "status": '{"state": "FAILED"}',
        "text": "{{$.a",
    }
    values["run_id"] = "given"
    assert with_plain_parameters(given, "r-7")["inputs"]["parameterValues"]["run_id"] == "given"


@pytest.mark.parametrize(
    "lost", [{"instanceSchema": ""}, {"schemaTitle": "system.Artifact", "schemaVersion": "0.0.1"}]
)
def test_input_artifacts_have_the_types_of_the_compiled_pipeline(lost: dict[str, str]) -> None:
    """What Kubeflow's driver and kfp.local hand on for a type of TFX."""
    invocation = {
        "inputs": {
            "artifacts": {
                "examples": {"artifacts": [{"uri": "/a", "type": lost}]},
                "other": {"artifacts": [{"uri": "/b", "type": lost}]},
            }
        }
    }
    declared = {"instanceSchema": "title: tfx.Examples\ntype: object\n"}
    typed = with_declared_types(invocation, {"artifacts": {"examples": {"artifactType": declared}}})
    artifacts = typed["inputs"]["artifacts"]
    assert artifacts["examples"]["artifacts"] == [{"uri": "/a", "type": declared}]
    assert artifacts["other"]["artifacts"] == [{"uri": "/b", "type": lost}]
