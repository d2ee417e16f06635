"""Load on the prediction service while new versions are pushed.

    python -m benchmarks.service --serving out/serving --contract complete_journey

Starts `hardtower serve` on the loopback over a folder of its own and sends requests by wrk (package
`wrk` of Debian, https://github.com/wg/wrk) over a few connections. Every few seconds a version is
pushed, in turn the newest of the given folder (A) and the same with its two models swapped and
hard and soft exchanged in its routing table (B). An answer counts as mixed unless its predictions
are, byte for byte, those of A or those of B, whichever its assignment id says. Also measures the
router alone.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import click
import httpx
import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from common.routing.serving_file import serving_bytes, serving_table
from common.routing.table import RoutingTable
from common.versions.digest import model_digest, model_files
from common.versions.folder import ServingFolder
from schemas.contract import load_contract

ONE_TASK = Path("assets.extra/one_task")
SCRIPT = Path(__file__).with_name("serve_check.lua")


def swapped(source: Path, target: Path) -> None:
    """A copy of a version with its models swapped, hard and soft exchanged, and another id."""
    extra = target / "assets.extra"
    shutil.copytree(source / "assets.extra", extra)
    shutil.rmtree(extra / "one_task")
    for origin, place in ((source, target / ONE_TASK), (source / ONE_TASK, target)):
        for name in model_files(origin):
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(origin / name, place / name)
    settings = json.loads((extra / "routing.json").read_text())
    settings["assignment_id"] = "swapped"
    (extra / "routing.json").write_text(json.dumps(settings))
    table = pq.read_table(extra / "routing.parquet")
    task = pc.if_else(pc.equal(table["task"], "hard"), "soft", "hard")
    table = table.set_column(table.column_names.index("task"), "task", task)
    pq.write_table(table, extra / "routing.parquet")
    (extra / "routing.arrow").write_bytes(serving_bytes(serving_table(table, "swapped")))
    manifest = json.loads((extra / "manifest.json").read_text())
    manifest |= {
        "assignment_id": "swapped",
        "model_digest": model_digest(target),
        "one_task_digest": model_digest(target / ONE_TASK),
    }
    (extra / "manifest.json").write_text(json.dumps(manifest))


def make_body(version: Path, contract_name: str, candidates: int) -> bytes:
    """A request with plausible features: those of the household once, all others by candidate."""
    contract = load_contract(contract_name)
    rng = np.random.default_rng(7)
    setups = pq.read_table(version / "assets.extra" / "routing.parquet")["setup_id"].to_pylist()
    names = contract.features.names
    text = {f.name for f in contract.features.categorical}

    def value(name: str) -> str | float:
        return f"v{rng.integers(50)}" if name in text else round(float(rng.gamma(2.0)), 4)

    shared = [n for n in names if n.startswith("household")]
    own = [n for n in names if n not in shared]
    return json.dumps(
        {
            "context": {n: value(n) for n in shared},
            "candidates": [
                {"setup_id": str(rng.choice(setups)), "features": {n: value(n) for n in own}}
                for _ in range(candidates)
            ],
        }
    ).encode()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Load:
    """A service under load, and the versions that are pushed to it."""

    def __init__(self, versions: dict[str, Path], work: Path) -> None:
        self.versions = versions
        self.folder = ServingFolder(work / "serving", keep=3)
        self.url = f"http://127.0.0.1:{free_port()}"
        self.work = work
        self.pushed = 0

    def push(self) -> str:
        """Pushes the other version; its assignment id."""
        name = list(self.versions)[self.pushed % len(self.versions)]

        def fill(path: Path, _version: int) -> None:
            shutil.copytree(self.versions[name], path, dirs_exist_ok=True)

        self.folder.publish(fill)
        self.pushed += 1
        return name

    def await_version(self, name: str) -> None:
        for _ in range(600):
            try:
                if httpx.get(f"{self.url}/ready").json().get("assignment_id") == name:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
        raise RuntimeError(f"no version of assignment {name} serves within a minute")

    def expect(self, body: bytes, size: int) -> list[str]:
        """Stores what each version answers; wrk's arguments for it."""
        arguments = []
        for _ in self.versions:
            name = self.push()
            self.await_version(name)
            answer = httpx.post(f"{self.url}/v1/predict", content=body, timeout=30).text
            version = json.loads(answer)["model_version"]
            part = answer[answer.index('"predictions"') :]
            file = self.work / f"{size}-{name}"
            file.write_text(part.replace(f'"model_version":{version}', '"model_version":0'))
            arguments.append(f"{name}={file}")
        return arguments

    def run(self, body: bytes, size: int, seconds: int, connections: int, every: float) -> Any:
        """wrk's figures, with pushes going on."""
        arguments = self.expect(body, size)
        file = self.work / f"{size}.json"
        file.write_bytes(body)
        done = threading.Event()

        def pushes() -> None:
            while not done.wait(every):
                self.push()

        before = self.pushed
        pusher = threading.Thread(target=pushes)
        pusher.start()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s"]
        command += ["-s", str(SCRIPT), f"{self.url}/v1/predict", "--", str(file), *arguments]
        try:
            printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        finally:
            done.set()
            pusher.join()
        line = next(line for line in printed.splitlines() if line.startswith("RESULT "))
        return json.loads(line.removeprefix("RESULT ")) | {"pushes": self.pushed - before}


def router_microseconds(version: Path, size: int) -> float:
    """Time per candidate of the router alone, best of 20."""
    table = RoutingTable.load(version)
    setups = pq.read_table(version / "assets.extra" / "routing.parquet")["setup_id"].to_pylist()
    ids = np.random.default_rng(3).choice(setups, size).tolist()
    best = float("inf")
    for _ in range(20):
        start = time.perf_counter()
        table.route(ids)
        best = min(best, time.perf_counter() - start)
    return best / size * 1e6


@click.command()
@click.option("--serving", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--contract", default="complete_journey", show_default=True)
@click.option("--seconds", default=20, show_default=True, help="Length of each run.")
@click.option("--connections", default=2, show_default=True)
@click.option("--every", default=4.0, show_default=True, help="Seconds between two pushes.")
def main(serving: Path, contract: str, seconds: int, connections: int, every: float) -> None:
    """Print a line of JSON for each size of request."""
    newest = ServingFolder(serving).newest()
    if newest is None:
        raise click.UsageError(f"{serving}: no version")
    source = newest.path
    for size in (50, 500):
        click.echo(
            json.dumps({"router": size, "us_per_candidate": router_microseconds(source, size)})
        )
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        swapped(source, work / "swapped")
        own = RoutingTable.load(source).assignment_id
        load = Load({own: source, "swapped": work / "swapped"}, work)
        load.push()
        port = load.url.rsplit(":", 1)[1]
        command = [sys.executable, "-m", "pipeline.cli", "serve", "--port", port]
        command += ["--serving", str(load.folder.root), "--set", "poll_seconds=1"]
        with (work / "log").open("w") as log:
            service = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            for size in (50, 500):
                body = make_body(source, contract, size)
                busy = cpu_seconds(service.pid)
                found = load.run(body, size, seconds, connections, every)
                busy = cpu_seconds(service.pid) - busy
                rate = found["requests"] / found["seconds"]
                found |= {"candidates": size, "body_bytes": len(body)}
                found |= {"requests_per_s": rate, "candidates_per_s": rate * size}
                # The loads of the versions included.
                found["cpu_ms_per_request"] = busy / found["requests"] * 1e3
                found["rss_mib"] = resident_mib(service.pid)
                click.echo(json.dumps(found))
        finally:
            service.terminate()
            service.wait()


def cpu_seconds(pid: int) -> float:
    """Time that a process has spent on the processor, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(s for s in status if s.startswith("VmRSS")).split()[1]) / 1024


if __name__ == "__main__":
    main()
