"""`hardtower serve` as a whole: its model processes under pushes, and hostile connections."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from common.versions.folder import ServingFolder

REQUEST = {
    "candidates": [
        {"setup_id": "a|buy", "features": {"price": 1.5}},
        {"setup_id": "a|visit", "features": {"price": 1.5}},
    ]
}
PATIENCE = 60.0
"""Seconds; a machine under load takes several to load a version."""


class Running:
    """A service in a process of its own, with two model processes."""

    def __init__(self, root: Path, fill: Callable[..., None]) -> None:
        self.folder = ServingFolder(root / "serving", keep=9)
        self._fill = fill
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        settings = ("poll_seconds=0.1", "receive_seconds=1", "max_header_bytes=10000", "workers=2")
        command = [sys.executable, "-m", "pipeline.cli", "serve", "--port", str(self.port)]
        command += ["--serving", str(self.folder.root)]
        command += [part for setting in settings for part in ("--set", setting)]
        self.log = root / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command, cwd=Path(__file__).parents[2], stdout=log, stderr=log
            )
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=PATIENCE)

    def push(self, **changes: Any) -> int:
        return self.folder.publish(lambda f, v: self._fill(f, v, **changes)).version

    def ready(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = self.client.get("/ready").json()
        except httpx.HTTPError:
            found = {"model_version": None, "refused": {}}
        return found

    def counted(self) -> float:
        """Candidates answered, by the metrics."""
        text = self.client.get("/metrics").text
        return sum(map(float, re.findall(r"^hardtower_candidates_total\{.*\} (\S+)$", text, re.M)))

    def workers(self) -> set[int]:
        """Ids of the model processes: children of the process that the first child forks from."""
        parents = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                parents[int(stat.parent.name)] = int(stat.read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
        children = {pid for pid, parent in parents.items() if parent == self.process.pid}
        return {pid for pid, parent in parents.items() if parent in children}


def niceness(pid: int) -> set[int]:
    """Priorities of a process's threads, which they have from the one that started them."""
    stats = [stat.read_text() for stat in Path(f"/proc/{pid}/task").glob("*/stat")]
    return {int(stat.rsplit(")", 1)[1].split()[16]) for stat in stats}


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, "nothing happened"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, fill_saved: Callable[..., None]
) -> Iterator[Running]:
    service = Running(tmp_path_factory.mktemp("service"), fill_saved)
    number = service.push()
    wait_for(lambda: service.ready()["model_version"] == number)
    own = os.getpriority(os.PRIO_PROCESS, service.process.pid)
    assert [niceness(pid) for pid in service.workers()] == [{own}, {own}]
    yield service
    service.client.close()
    workers = service.workers()
    service.process.terminate()
    assert service.process.wait(PATIENCE) in (0, -signal.SIGTERM)
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))


def test_model_processes_share_what_they_were_forked_from(running: Running) -> None:
    """TensorFlow and all that is imported lie in memory once, however many processes there are."""
    for pid in running.workers():
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
        kib = {line.split(":")[0]: int(line.split()[1]) for line in lines}
        assert kib["Shared_Dirty"] > 2 * kib["Private_Dirty"]


def test_pushes_fail_no_request_and_counters_add_up(running: Running) -> None:
    before = running.counted()
    seen: list[int] = []
    done = threading.Event()
    failed: list[str] = []

    def ask() -> None:
        with httpx.Client(base_url=running.client.base_url, timeout=PATIENCE) as client:
            while not done.is_set():
                answer = client.post("/v1/predict", json=REQUEST)
                if answer.status_code != 200:
                    failed.append(answer.text)
                    continue
                body = answer.json()
                versions = {p["model_version"] for p in body["predictions"]}
                assignments = {p["assignment_id"] for p in body["predictions"]}
                if versions != {body["model_version"]} or len(assignments) != 1:
                    failed.append(answer.text)
                seen.append(body["model_version"])

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    numbers = []
    for i in range(2):
        numbers.append(running.push(assignment_id=f"push {i}"))
        wait_for(lambda: running.ready()["model_version"] == numbers[-1])
    wait_for(lambda: numbers[-1] in seen)
    done.set()
    for thread in threads:
        thread.join()
    assert failed == []
    assert set(numbers) <= set(seen)
    assert running.counted() - before == 2 * len(seen)
    # Those of the versions before are gone, and those that serve were loaded at low priority.
    wait_for(lambda: len(running.workers()) == 2)
    own = os.getpriority(os.PRIO_PROCESS, running.process.pid)
    for pid in running.workers():
        assert max(10, own) in niceness(pid)
        assert os.getpriority(os.PRIO_PROCESS, pid) == own


def test_a_model_process_that_dies_is_replaced(running: Running) -> None:
    number = running.ready()["model_version"]
    before = running.workers()
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    # The other one answers meanwhile.
    statuses = {running.client.post("/v1/predict", json=REQUEST).status_code for _ in range(5)}
    assert 200 in statuses <= {200, 503}
    wait_for(lambda: len(running.workers() - before) == 2 and victim not in running.workers())
    assert running.client.post("/v1/predict", json=REQUEST).status_code == 200
    assert running.ready()["model_version"] == number


def test_a_version_with_other_features_is_refused(
    running: Running, save_model: Callable[..., None], tmp_path: Path
) -> None:
    number = running.ready()["model_version"]
    for name in ("hard", "one_task"):
        save_model(tmp_path / name, 1.0, text="the town")
    models = {name: tmp_path / name for name in ("hard", "one_task")}
    other = running.push(models=models)
    wait_for(lambda: str(other) in running.ready()["refused"])
    ready = running.ready()
    assert ready["model_version"] == number
    assert ready["refused"][str(other)].endswith(
        "no feature 'the_shop'; unknown feature 'the_town'"
    )


@pytest.mark.parametrize(
    "endless",
    [
        b"GET /" + b"x" * 2**20,
        b"POST /v1/predict HTTP/1.1\r\nX: " + b"x" * 2**20,
        b"POST /v1/predict HTTP/1.1\r\n" + b"A: b\r\n" * 2**18,
        b"POST /v1/predict HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\n \r\n0\r\nX: "
        + b"x" * 2**20,
    ],
    ids=["address", "header", "headers", "trailer"],
)
def test_what_comes_before_or_after_a_body_is_bounded(running: Running, endless: bytes) -> None:
    with socket.create_connection(("127.0.0.1", running.port)) as connection:
        connection.settimeout(PATIENCE)
        sent = 0
        try:
            while sent < 16 * 2**20:
                connection.sendall(endless[: 2**20] if not sent else endless[-(2**16) :])
                sent += 2**16
        except OSError:
            pass
        assert sent < 8 * 2**20
    assert running.client.get("/health").text == "ok"


def test_a_request_that_dribbles_in_is_dropped(running: Running) -> None:
    for start in (b"POST /v1/pre", b"POST /v1/predict HTTP/1.1\r\nContent-Length: 9\r\n\r\n{"):
        with socket.create_connection(("127.0.0.1", running.port)) as connection:
            connection.settimeout(PATIENCE)
            connection.sendall(start)
            assert connection.recv(100) in (b"", b"HTTP/1.1 408 Request Timeout\r\ncontent-length: "
                                            b"0\r\nconnection: close\r\n\r\n")  # fmt: skip
