"""The manifests' containers, started with Podman as Kubernetes would start them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml
from small_log import CONFIG, CONTRACT, write_clicks

pytestmark = pytest.mark.kubeflow
IMAGE = "localhost/hardtower:test"
DEPLOY = Path(__file__).parents[2] / "deploy"
ROW = {"campaign": "c1", "goal": "purchase", "device": "d1", "user": "u5", "recency": 3.0}


def pod_spec(file: str, kind: str) -> dict[str, Any]:
    documents = yaml.safe_load_all((DEPLOY / file).read_text())
    [found] = [document["spec"] for document in documents if document["kind"] == kind]
    template = (
        found["template"] if kind == "Deployment" else found["jobTemplate"]["spec"]["template"]
    )
    spec: dict[str, Any] = template["spec"]
    return spec


def options(spec: dict[str, Any], places: Path) -> list[str]:
    """Podman's options for the security context and the mounts.

    Args:
      places: folder with a folder for each claim, config map and secret, by its name.
    """
    container = spec["containers"][0]
    user = spec["securityContext"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    found = ["--read-only", "--cap-drop=all", "--security-opt=no-new-privileges"]
    found.append(f"--user={user['runAsUser']}:{user['runAsGroup']}")
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    for mount in container["volumeMounts"]:
        source = volumes[mount["name"]]
        if "emptyDir" in source:
            found.append(f"--tmpfs={mount['mountPath']}:mode=1777")
            continue
        [name] = [
            values.get("claimName") or values.get("secretName") or values.get("name")
            for values in source.values()
            if isinstance(values, dict)
        ]
        folder = places / name / mount.get("subPath", "")
        if not folder.exists():
            folder.mkdir(parents=True)
            os.chown(folder, user["runAsUser"], user["runAsGroup"])
        mode = "ro" if mount.get("readOnly") else "rw"
        found.append(f"--volume={folder}:{mount['mountPath']}:{mode}")
    return found


@pytest.fixture(scope="module")
def retrained(tmp_path_factory: pytest.TempPathFactory, podman: list[str]) -> Path:
    """Claims after the nightly job."""
    places = tmp_path_factory.mktemp("claims")
    write_clicks(places / "hardtower-log" / "clicks")
    (places / "hardtower-config").mkdir()
    config = CONFIG | {"contract": "/config/contract.yaml"}
    for name, content in (("config", config), ("contract", CONTRACT)):
        (places / "hardtower-config" / f"{name}.yaml").write_text(yaml.safe_dump(content))
    spec = pod_spec("kubernetes/retrain.yaml", "CronJob")
    [container] = spec["containers"]
    command = [*container["command"], *container["args"]]
    done = subprocess.run(
        [*podman, "run", "--rm", "--pull=never", *options(spec, places), IMAGE, *command],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return places


def test_the_nightly_job_pushes_to_the_models_claim(retrained: Path) -> None:
    models = retrained / "hardtower-models"
    [version] = [path for path in (models / "serving").iterdir() if path.name.isdigit()]
    [run] = (models / "runs").iterdir()
    manifest = json.loads((version / "assets.extra" / "manifest.json").read_text())
    assert manifest["run_id"] == run.name
    assert (run / "report.html").exists()
    assert (retrained / "hardtower-retrain" / "metadata.sqlite").exists()


def test_the_service_serves_what_the_job_pushed(retrained: Path, podman: list[str]) -> None:
    spec = pod_spec("serving/kubernetes.yaml", "Deployment")
    [container] = spec["containers"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = ["--host=127.0.0.1", f"--port={port}"]
    arguments += [a for a in container["args"] if not a.startswith(("--host", "--port"))]
    service = subprocess.Popen(
        [
            *[*podman, "run", "--rm", "--pull=never", *options(spec, retrained), IMAGE],
            *[*container["command"], *arguments],
        ]
    )
    try:
        address = f"http://127.0.0.1:{port}"
        wait_until_ready(address, service)
        body = {"request_id": "r1", "key": "u5", "candidates": [{"features": ROW}]}
        request = urllib.request.Request(f"{address}/v1/predict", json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=30) as answer:
            [found] = json.load(answer)["predictions"]
    finally:
        service.terminate()
        service.wait(60)
    assert 0 < found["probability"] < 1


def wait_until_ready(address: str, service: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert service.poll() is None, "the service ended"
        try:
            with urllib.request.urlopen(f"{address}/ready", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.5)
    pytest.fail("the service did not become ready")
