"""The compiled small pipeline run by the emulator: data passes through the bucket alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kfp_emulator.api_server import RefusedError, accept
from kfp_emulator.driver import Run
from kfp_emulator.launcher import FRESH
from kfp_emulator.run import FAILED, SUCCEEDED, Cluster
from kubeflow_project import kubeflow_project
from small_log import write_clicks

from pipeline.config import load_config

pytestmark = pytest.mark.kubeflow

ROOT = "minio://mlpipeline/v2/artifacts"


def documents(folder: Path, *overrides: str) -> list[dict[str, Any]]:
    from pipeline.runners.kubeflow.build import compile_pipeline
    from pipeline.runners.kubeflow.lint import require_sound

    folder.mkdir()
    config = load_config(str(kubeflow_project(folder).config), overrides)
    compiled = compile_pipeline(config, "kfp", "hardtower compile")
    require_sound(compiled)
    return compiled.documents


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if os.geteuid() or subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
        pytest.skip("the emulator gives each step its own mounts: needs root and `unshare --mount`")
    made_here = [folder for folder in map(Path, FRESH) if not folder.exists()]
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    write_clicks(made.claim("hardtower") / "log" / "clicks")
    yield made
    for folder in made_here:
        if folder.exists():
            folder.rmdir()


@dataclass(frozen=True)
class Finished:
    run: Run
    states: dict[str, str]
    out: Path

    def json(self, name: str) -> Any:
        return json.loads((self.out / "runs" / self.run.run_id / name).read_text())


@pytest.fixture(scope="session")
def first(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A run with parameters of its own, on a back end that knows final statuses."""
    spec = documents(tmp_path_factory.mktemp("first") / "p", "kubeflow.kfp.final_status=true")
    run, states = cluster.run(spec, {"alpha": 0.06, "epochs": 1, "as_of": "2024-02-20"})
    failed = [name for name, state in states.items() if state != SUCCEEDED]
    assert not failed, cluster.log(failed[0])[-4000:]
    return Finished(run, states, cluster.claim("hardtower") / "out")


def test_every_step_succeeds(first: Finished) -> None:
    assert len(first.states) == 18
    assert set(first.states.values()) == {SUCCEEDED}


def test_the_parameters_of_the_run_reach_the_steps_that_record_them(
    first: Finished, cluster: Cluster
) -> None:
    manifest = first.json("manifest.json")
    assert manifest["run_id"] == first.run.run_id
    assert (manifest["alpha"], manifest["data"]["as_of"]) == (0.06, "2024-02-20")
    assert manifest["config"]["labelling"]["alpha"] == 0.06
    assert manifest["config"]["training"]["epochs"] == 1
    bucket = cluster.buckets / "minio"
    [training] = bucket.glob("mlpipeline/v2/artifacts/small/*/Trainer/*/model_run/training.json")
    assert json.loads(training.read_text())["settings"]["training"]["epochs"] == 1
    [last] = bucket.glob("mlpipeline/v2/artifacts/small/*/LastBlessed/*/model/last_blessed.json")
    assert json.loads(last.read_text())["as_of"] == "2024-02-20"


def test_the_served_fit_goes_by_the_blessing_and_knows_yesterday(
    first: Finished, cluster: Cluster
) -> None:
    manifest = first.json("manifest.json")
    assert manifest["served_fit"]["newest_trained_day"] == "2024-02-19"
    assert manifest["judged_fit"]["newest_trained_day"] < "2024-02-10"
    bucket = cluster.buckets / "minio" / "mlpipeline" / "v2" / "artifacts" / "small"
    for node in ("ServedTrainer", "ServedOneTaskTrainer"):
        assert len(list(bucket.glob(f"*/{node}/*/model_run/training.json"))) == 1


def test_the_report_lies_in_the_bucket_for_the_pages_to_show(
    first: Finished, cluster: Cluster
) -> None:
    [report] = cluster.buckets.glob("minio/mlpipeline/v2/artifacts/small/*/RunReport/*/report")
    assert report.read_text().startswith("<!doctype html>")
    result = json.loads((cluster.folder / "RunReport.result.json").read_text())
    assert result["report"]["uri"].startswith(f"{ROOT}/small/{first.run.run_id}/RunReport/")
    assert result["report"]["type"]["schemaTitle"] == "system.HTML"


def test_no_artifact_is_recorded_by_a_local_path(first: Finished, cluster: Cluster) -> None:
    recorded = [json.loads(p.read_text()) for p in cluster.folder.glob("*.result.json")]
    assert len(recorded) == 17
    for artifact in (a for outputs in recorded for a in outputs.values()):
        assert artifact["uri"].startswith(ROOT)
        assert "/minio/" not in json.dumps(artifact["metadata"])


def test_the_exit_handler_tells_what_was_pushed(first: Finished, cluster: Cluster) -> None:
    verdict = first.json("verdict.json")
    [version] = [p.name for p in (cluster.claim("hardtower") / "serving").glob("[0-9]*")]
    assert verdict["status"] == SUCCEEDED
    assert (verdict["blessed"], verdict["pushed_version"]) == (True, int(version))


def test_a_run_that_fails_leaves_serving_untouched_and_says_so(
    first: Finished, cluster: Cluster, tmp_path: Path
) -> None:
    """On a back end that neither tells how a run ended nor labels its pods."""
    older = Cluster(cluster.folder, knows_final_status=False, publishes_logs=False)
    older.labels_runs = False
    run, states = older.run(documents(tmp_path / "p"), {"alpha": 2.0})
    assert states["ClickLogGen"] == SUCCEEDED
    assert (states["TaskLabeler"], states["tfx-dag"]) == (FAILED, FAILED)
    assert "Transform" not in states
    assert "Error: labelling, run with alpha=2.0" in older.log("TaskLabeler")
    assert states["RunVerdict"] == SUCCEEDED
    verdict = Finished(run, states, first.out).json("verdict.json")
    assert (verdict["status"], verdict["blessed"], verdict["pushed_version"]) == (
        FAILED,
        None,
        None,
    )
    assert verdict["serving_run_id"] == first.run.run_id


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return documents(tmp_path_factory.mktemp("sound") / "p")


def test_the_server_refuses_what_it_cannot_run(sound: list[dict[str, Any]]) -> None:
    spec = sound[0]
    assert accept(spec, ROOT, {"alpha": 0.1})["alpha"] == 0.1
    assert accept(spec, ROOT, {})["epochs"] == 2
    with pytest.raises(RefusedError, match="pipeline root"):
        accept(spec, "/srv/artifacts", {})
    with pytest.raises(RefusedError, match=r"unknown parameters \['beta'\]"):
        accept(spec, ROOT, {"beta": 1})
    with pytest.raises(RefusedError, match=r"only schema version 2\.1\.0"):
        accept(spec | {"schemaVersion": "2.0.0"}, ROOT, {})
    bare = deepcopy(spec)
    del bare["root"]["inputDefinitions"]["parameters"]["alpha"]["defaultValue"]
    with pytest.raises(RefusedError, match="alpha is not optional"):
        accept(bare, ROOT, {})


def test_an_older_back_end_stops_at_a_final_status(tmp_path: Path) -> None:
    spec, platform = documents(tmp_path / "p", "kubeflow.kfp.final_status=true")
    root = spec["root"]["dag"]["tasks"]
    root["tfx-dag"]["componentRef"]["name"] = "comp-empty"
    spec["components"]["comp-empty"] = {"dag": {"tasks": {}}}
    cluster = Cluster(tmp_path, knows_final_status=False)
    _, states = cluster.run([spec, platform])
    assert states == {"tfx-dag": SUCCEEDED, "RunVerdict": FAILED}
    assert "not implemented yet" in cluster.log("RunVerdict")
    shutil.rmtree(tmp_path / "p")
