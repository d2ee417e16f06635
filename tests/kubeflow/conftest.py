"""Podman, and what `deploy/kubeflow_tools.sh` makes."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

SETTINGS = Path(__file__).parents[2] / ".tools" / "kubeflow" / "containers.conf"
IMAGE = "localhost/hardtower:test"


@pytest.fixture(scope="session")
def podman() -> list[str]:
    """The command to which Podman's arguments are added; the image is there."""
    if shutil.which("podman") is None or not SETTINGS.exists():
        pytest.skip("Podman is not set up: run deploy/kubeflow_tools.sh")
    command = ["env", f"CONTAINERS_CONF={SETTINGS}", "podman"]
    if subprocess.run([*command, "image", "exists", IMAGE], check=False).returncode:
        pytest.skip(f"no image {IMAGE}: run deploy/kubeflow_tools.sh")
    return command


@pytest.fixture(scope="session")
def docker_host(podman: list[str]) -> Iterator[str]:
    """Address of a Docker-compatible service that ends with the tests."""
    folder = Path(tempfile.mkdtemp(prefix="podman-"))
    socket = folder / "podman.sock"
    address = f"unix://{socket}"
    service = subprocess.Popen([*podman, "system", "service", "--time=0", address])
    try:
        for _ in range(100):
            if socket.exists() or service.poll() is not None:
                break
            time.sleep(0.1)
        assert socket.exists(), "Podman's service did not start"
        yield address
    finally:
        remove_finished(podman)
        service.terminate()
        service.wait()
        shutil.rmtree(folder)


def remove_finished(podman: list[str]) -> None:
    """`DockerRunner` leaves its containers behind; those that still run are someone else's."""
    filters = [f"--filter=ancestor={IMAGE}", "--filter=status=exited"]
    listed = [*podman, "ps", "--all", "--quiet", *filters]
    found = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split()
    if found:
        subprocess.run([*podman, "rm", *found], check=True, capture_output=True)
