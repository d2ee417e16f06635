"""What the image is, asked of containers of it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.kubeflow
IMAGE = "localhost/hardtower:test"


def run(podman: list[str], *command: str, options: tuple[str, ...] = ()) -> str:
    found = subprocess.run(
        [*podman, "run", "--rm", "--pull=never", *options, IMAGE, *command],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_it_names_its_user_in_figures_and_has_no_entrypoint(podman: list[str]) -> None:
    inspected = subprocess.run(
        [*podman, "image", "inspect", IMAGE], capture_output=True, text=True, check=True
    )
    [image] = json.loads(inspected.stdout)
    assert image["User"] == "1000:1000"
    assert not image["Config"].get("Entrypoint")


def test_build_tools_stay_behind(podman: list[str]) -> None:
    found = run(podman, "sh", "-c", "command -v g++ cc uv || echo none; ls /run/secrets || true")
    assert found.split() == ["none"]


def test_the_code_is_the_checkout_and_knows_its_commit(podman: list[str]) -> None:
    script = (
        "from importlib.metadata import distribution, version\n"
        "from common.runs.provenance import ROOT, code_version\n"
        "print(ROOT, version('hardtower') != code_version(), version('tfx'))"
    )
    assert run(podman, "python", "-c", script).split() == ["/opt/hardtower/app", "True", "1.16.0"]


def test_the_libraries_are_the_locked_ones(podman: list[str]) -> None:
    import tomllib

    lock = tomllib.loads((Path(__file__).parents[2] / "uv.lock").read_text())
    locked = {(package["name"], package["version"]) for package in lock["package"]}
    script = (
        "import json, re\n"
        "from importlib.metadata import distributions\n"
        "name = lambda found: re.sub(r'[-_.]+', '-', found.metadata['Name']).lower()\n"
        "print(json.dumps({name(found): found.version for found in distributions(\n"
        "    path=['/opt/hardtower/env/lib/python3.11/site-packages'])}))"
    )
    installed = json.loads(run(podman, "python", "-c", script))
    assert len(installed) > 100
    assert set(installed.items()) <= locked
    assert not {"pytest", "ruff", "mypy"} & set(installed)


def test_it_runs_on_a_read_only_root_as_any_user(podman: list[str]) -> None:
    """As the manifests start it, and as clusters do that choose the user id themselves."""
    script = "import tensorflow as tf; print(int(tf.reduce_sum(tf.ones([3]))))"
    options = ("--read-only", "--user=1000650000:0", "--cap-drop=all")
    assert run(podman, "python", "-c", script, options=options).split() == ["3"]
