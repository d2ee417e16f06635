"""The compiled pipeline, each step in a container of its own, by the `DockerRunner` of kfp."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from small_log import CLICKS_A_DAY, CONFIG, CONTRACT, Project, write_clicks

pytestmark = pytest.mark.kubeflow
IMAGE = "localhost/hardtower:test"
USER = 1000
"""Whose the image's processes are."""
EPOCHS = 3
"""A run's own value of a parameter, not the config's."""


@dataclass(frozen=True)
class ContainerRun:
    """A pipeline that ran in containers; all places are under the folder that they share."""

    project: Project
    tasks: dict[str, Any]

    @property
    def artifacts(self) -> Path:
        """Laid out as `<task>/<output>`."""
        [found] = self.project.folder.glob("small-*")
        return found

    @property
    def run(self) -> Path:
        [found] = (self.project.folder / "models" / "runs").iterdir()
        return found

    @property
    def version(self) -> Path:
        serving = self.project.folder / "models" / "serving"
        [found] = [entry for entry in serving.iterdir() if entry.name.isdigit()]
        return found


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, docker_host: str) -> ContainerRun:
    # DockerRunner mounts the pipeline root and nothing else, so that everything is in there.
    root = tmp_path_factory.mktemp("containers")
    write_clicks(root / "clicks")
    project = Project(root)
    places = {
        "pipeline_root": "minio://mlpipeline/hardtower",
        "data_root": str(root),
        "serving_dir": str(root / "models" / "serving"),
        "out_dir": str(root / "models"),
    }
    # On Kubeflow a volume would be mounted there. kfp.local knows no exit handlers.
    kubeflow = {
        "image": IMAGE,
        "exit_handler": False,
        "defaults": {"volumes": [{"claim": "hardtower", "path": str(root)}]},
        "kfp": places,
    }
    project.write({"kubeflow": kubeflow})
    compiled = root / "pipeline.yaml"
    arguments = ("--config", str(project.config), "--out", str(compiled))
    done = project.hardtower("compile", *arguments)
    assert done.returncode == 0, done.stderr
    os.chown(root, USER, USER)
    run_in_containers(compiled, root, docker_host)
    spec, _ = yaml.safe_load_all(compiled.read_text())
    return ContainerRun(project, spec["root"]["dag"]["tasks"])


def run_in_containers(compiled: Path, mounted: Path, docker_host: str) -> None:
    from kfp import components, local

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("DOCKER_HOST", docker_host)
        local.init(local.DockerRunner(), pipeline_root=str(mounted))
        components.load_component_from_file(str(compiled))(epochs=EPOCHS)


def test_every_task_wrote_its_outputs(ran: ContainerRun) -> None:
    names = {name.removeprefix("comp-") for name in ran.tasks}
    assert len(names) == 16
    assert {folder.name for folder in ran.artifacts.iterdir()} == names
    for name in names:
        written = json.loads((ran.artifacts / name / "executor_output.json").read_text())
        for output, listed in written.get("artifacts", {}).items():
            for artifact in listed["artifacts"]:
                assert Path(artifact["uri"]).exists(), (name, output)


def test_all_files_are_the_image_users(ran: ContainerRun) -> None:
    folder = ran.project.folder
    owners = {path.lstat().st_uid for path in (ran.artifacts, *ran.artifacts.rglob("*"))}
    assert owners <= {0, USER}
    assert {path.lstat().st_uid for path in (folder / "models").rglob("*")} == {USER}


def test_the_model_is_pushed_with_the_runs_own_parameters(ran: ContainerRun) -> None:
    manifest = json.loads((ran.version / "assets.extra/manifest.json").read_text())
    assert manifest["run_id"] == ran.run.name
    assert manifest["data"]["as_of"] == CONFIG["as_of"]
    assert manifest["config"]["training"]["epochs"] == EPOCHS
    assert "+" in manifest["code_version"]
    [history] = ran.artifacts.glob("Trainer/model_run/history.json")
    assert max(entry["epoch"] for entry in json.loads(history.read_text())) == EPOCHS


def test_the_report_is_written(ran: ContainerRun) -> None:
    assert (ran.run / "report.html").read_text().count("<svg") >= 5


def test_the_metrics_are_those_of_a_local_run(ran: ContainerRun, tmp_path: Path) -> None:
    """The same code without containers, TFX's local runner in place of Kubeflow."""
    local = Project(tmp_path)
    (tmp_path / "clicks").symlink_to(ran.project.folder / "clicks")
    local.write(contract=CONTRACT)
    done = local.run("--set", f"training.epochs={EPOCHS}")
    assert done.returncode == 0, done.stdout + done.stderr
    [folder] = local.runs()

    def metrics(file: Path) -> dict[tuple[str, str, str], dict[str, Any]]:
        return {(r["model"], r["slice"], r["metric"]): r for r in json.loads(file.read_text())}

    wanted, seen = metrics(folder / "metrics.json"), metrics(ran.run / "metrics.json")
    assert seen.keys() == wanted.keys()
    assert len(seen) > 20
    for key, record in wanted.items():
        assert (seen[key]["examples"], seen[key]["positives"]) == (
            record["examples"],
            record["positives"],
        ), key
        assert seen[key]["value"] == pytest.approx(record["value"], rel=1e-3, abs=1e-4), key
    assert (
        seen["candidate", "all", "auc"]["examples"] == CONFIG["splits"]["eval_days"] * CLICKS_A_DAY
    )
