"""Load on the prediction service, beside its earlier self and a plain server; pushes; attacks.

    python -m benchmarks.service --serving out/serving [--before CHECKOUT] [--json FILE]

Contestants take turns, a few seconds each, round after round:

- `service`: `hardtower serve` of this checkout, with candidates as rows; `columns` and `arrow` are
  the same with the other bodies that it takes,
- `before`: that of another checkout of this project, where `--before` names one,
- `grpc`: the hard tower behind the thinnest gRPC loop on TensorFlow Serving's stubs
  (`benchmarks.contestants.serve_grpc`), which neither routes nor checks.

Load on the services comes from wrk (package `wrk` of Debian, https://github.com/wg/wrk) over a few
connections, on the peer from as many threads. CPU is that of all processes of a contestant; memory
is the sum of their proportional sets. The stages of a request and the models' calls alone are
another contestant, in a loop of their own. Turns with pushes alternate with turns of the same
length without any. While versions are pushed, the newest of the given folder (A) and the same with
its models swapped and hard and soft exchanged (B) take turns, and an answer counts as mixed unless
its predictions are, byte for byte, those of A or those of B, whichever its assignment id says.
Also: requests at a fixed rate, `/health` under attack, and what the worst bodies cost.
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import click
import httpx
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.contestants.service_stages import ALONE, OTHER_BITS, STAGES, key_of
from benchmarks.measure import ROOT, in_child, machine, write
from benchmarks.turns import Turns
from common.routing.serving_file import serving_bytes, serving_table
from common.routing.table import RoutingTable
from common.versions.digest import model_digest, model_files
from common.versions.folder import ServingFolder
from common.versions.signatures import EXAMPLES
from schemas.contract import load_contract
from schemas.setup_id import setup_id, setup_values
from service.routing.router import Router

ONE_TASK = Path("assets.extra/one_task")
SCRIPT = Path(__file__).with_name("serve_check.lua")
STAGES_MODULE = "benchmarks.contestants.service_stages"
SIZES = (50, 500)
RATES = {50: 100, 500: 20}
"""Requests a second of each size."""
SERVICE, BEFORE, GRPC = "service", "before", "grpc"
JSON, ARROW = "application/json", "application/vnd.apache.arrow.stream"

Figures = dict[str, Any]


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
    columns = RoutingTable.load(version).settings.setup

    def candidate() -> Figures:
        setup = str(rng.choice(setups))
        said = dict(zip(columns, setup_values(setup), strict=True))
        return {"setup_id": setup, "features": {n: said.get(n) or value(n) for n in own}}

    return json.dumps(
        {
            "context": {n: value(n) for n in shared},
            "candidates": [candidate() for _ in range(candidates)],
        }
    ).encode()


def other_bodies(body: bytes) -> dict[str, tuple[str, bytes]]:
    """The same candidates by column, in JSON and as an Arrow stream: media type and body."""
    request = json.loads(body)
    rows = [{"setup_id": c["setup_id"]} | c["features"] for c in request["candidates"]]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    batch = pa.record_batch(list(map(pa.array, columns.values())), names=list(columns))
    batch = batch.replace_schema_metadata({"context": json.dumps(request["context"])})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    by_column = json.dumps({"context": request["context"], "candidates": columns}).encode()
    return {"columns": (JSON, by_column), "arrow": (ARROW, sink.getvalue().to_pybytes())}


def processes(pid: int) -> list[int]:
    """A process and all that come from it."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    family = [pid]
    for one in family:
        family += children.get(one, [])
    return family


def cpu_seconds(pid: int) -> float:
    """Processor time of a process and all that come from it, the ended ones too."""
    ticks = 0
    for one in processes(pid):
        with suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_mib(pid: int) -> float:
    """Proportional sets of a process and all that come from it."""
    total = 0
    for one in processes(pid):
        # Processes of the version before may still be ending.
        with suppress(OSError):
            lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
            total += int(next(line for line in lines if line.startswith("Pss:")).split()[1])
    return total / 1024


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Served:
    """A service over a folder of its own, and the versions that are pushed to it."""

    def __init__(self, checkout: Path, versions: Mapping[str, Path], work: Path) -> None:
        work.mkdir()
        self.versions = versions
        self.folder = ServingFolder(work / "serving", keep=3)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.work = work
        self.pushed = 0
        self.push()
        command = [sys.executable, "-m", "pipeline.cli", "serve", "--port", str(self.port)]
        command += ["--serving", str(self.folder.root), "--set", "poll_seconds=1"]
        self._log = (work / "log").open("w")
        environment = os.environ | {"PYTHONPATH": str(checkout)}
        self.process = subprocess.Popen(
            command, cwd=checkout, env=environment, stdout=self._log, stderr=self._log
        )

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()
        self._log.close()

    def push(self) -> str:
        """Pushes the other version; its assignment id."""
        name = list(self.versions)[self.pushed % len(self.versions)]
        source = self.versions[name]
        self.newest = name

        def fill(path: Path, _version: int) -> None:
            shutil.copytree(source, path, dirs_exist_ok=True)

        self.folder.publish(fill)
        self.pushed += 1
        return name

    def await_version(self, name: str) -> None:
        for _ in range(1800):
            try:
                if httpx.get(f"{self.url}/ready").json().get("assignment_id") == name:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
        raise RuntimeError(f"no version of assignment {name} serves after 3 minutes")

    def load_seconds(self) -> float:
        """How long the last version took to load."""
        lines = httpx.get(f"{self.url}/metrics").text.splitlines()
        name = "hardtower_version_load_seconds "
        return float(next(line for line in lines if line.startswith(name)).split()[1])

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

    def load(
        self, file: Path, expected: list[str], seconds: int, connections: int, media: str = JSON
    ) -> Figures:
        """wrk's figures, and the CPU of a request."""
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s"]
        command += ["-s", str(SCRIPT), f"{self.url}/v1/predict", "--", media, str(file), *expected]
        busy = cpu_seconds(self.process.pid)
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        busy = cpu_seconds(self.process.pid) - busy
        line = next(line for line in printed.splitlines() if line.startswith("RESULT "))
        figures: Figures = json.loads(line.removeprefix("RESULT "))
        figures["cpu_ms"] = busy / figures["requests"] * 1e3
        figures["requests_per_s"] = figures["requests"] / figures["seconds"]
        return figures

    @contextmanager
    def pushes(self, every: float) -> Iterator[None]:
        """Pushes a version every so many seconds."""
        done = threading.Event()

        def push() -> None:
            while not done.wait(every):
                self.push()

        pusher = threading.Thread(target=push)
        pusher.start()
        try:
            yield
        finally:
            done.set()
            pusher.join()


class Peer:
    """The plain gRPC server of one model."""

    def __init__(self, model: Path) -> None:
        self.port = free_port()
        module = "benchmarks.contestants.serve_grpc"
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, str(model), str(self.port)],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()

    def load(self, examples: list[bytes], seconds: float, connections: int) -> Figures:
        """Requests one after the other on each connection."""
        import grpc
        from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

        request = predict_pb2.PredictRequest()
        tensor = request.inputs[EXAMPLES]
        tensor.dtype = 7  # DT_STRING
        tensor.tensor_shape.dim.add().size = len(examples)
        tensor.string_val.extend(examples)
        spent: list[float] = []

        def ask(until: float) -> None:
            with grpc.insecure_channel(f"127.0.0.1:{self.port}") as channel:
                stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
                stub.Predict(request, wait_for_ready=True, timeout=60)
                while time.perf_counter() < until:
                    began = time.perf_counter()
                    stub.Predict(request)
                    spent.append(time.perf_counter() - began)

        ask(time.perf_counter() + 0.5)
        spent.clear()
        busy, began = cpu_seconds(self.process.pid), time.perf_counter()
        threads = [
            threading.Thread(target=ask, args=(began + seconds,)) for _ in range(connections)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        busy = cpu_seconds(self.process.pid) - busy
        p50, p99 = np.percentile(spent, [50, 99]) * 1e3
        return {
            "cpu_ms": busy / (len(spent) + connections) * 1e3,
            "p50_ms": p50,
            "p99_ms": p99,
            "requests_per_s": len(spent) / seconds,
        }


def at_rate(url: str, body: bytes, per_second: int, seconds: float, connections: int) -> Figures:
    """Latency from the moment at which a request was due, at a fixed rate.

    A request that finds every connection busy waits for one, which counts.
    """
    due = [i / per_second for i in range(int(per_second * seconds))]
    next_one = iter(due)
    lock = threading.Lock()
    spent: list[float] = []
    statuses: list[int] = []
    start = time.perf_counter() + 0.1

    def ask() -> None:
        with httpx.Client() as client:
            while True:
                with lock:
                    at = next(next_one, None)
                if at is None:
                    return
                time.sleep(max(0.0, start + at - time.perf_counter()))
                status = client.post(url, content=body).status_code
                spent.append(time.perf_counter() - start - at)
                statuses.append(status)

    threads = [threading.Thread(target=ask) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    p50, p99 = np.percentile(spent, [50, 99]) * 1e3
    failed = sum(status != 200 for status in statuses)
    return {"p50_ms": p50, "p99_ms": p99, "failed": failed, "requests": len(spent)}


def worst_bodies(version: Path, contract_name: str, limit: int) -> dict[str, bytes]:
    """Legal JSON of as many bytes as a body may have, made to cost; the last is a request."""
    numbers = [f.name for f in load_contract(contract_name).features.numeric]
    setup = setup_id(["x"] * len(RoutingTable.load(version).settings.setup))

    def filled(head: bytes, piece: bytes, tail: bytes) -> bytes:
        return head + piece * ((limit - len(head) - len(tail)) // len(piece)) + tail

    row = {"setup_id": setup, "features": dict.fromkeys(numbers, 0.123456789012345)}
    return {
        "empty candidates": filled(b'{"candidates":[', b"{},", b"{}]}"),
        "one column": filled(b'{"candidates":{"pair_due":[', b"1,", b"1]}}"),
        "one feature again and again": filled(
            b'{"candidates":[{"features":{', b'"pair_due":1,', b'"pair_due":1}}]}'
        ),
        "deep": filled(b'{"candidates":', b"[", b""),
        "escapes": filled(b'{"candidates":[{"setup_id":"', rb"\"", b'"}]}'),
        "long text": filled(
            b'{"candidates":[{"setup_id":"x","features":{"brand":"', b"{", b'"}}]}'
        ),
        "as many values as may be": json.dumps({"candidates": [row] * 1000}).encode(),
    }


def attack(served: Served, body: bytes) -> Figures:
    """CPU and memory of a body, and how long `/health` takes meanwhile."""
    before = memory_mib(served.process.pid)
    peak, health = before, [0.0]
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        with httpx.Client() as client:
            while not done.is_set():
                began = time.perf_counter()
                client.get(f"{served.url}/health", timeout=60)
                health.append(time.perf_counter() - began)
                peak = max(peak, memory_mib(served.process.pid))

    def send() -> int:
        return httpx.post(f"{served.url}/v1/predict", content=body, timeout=120).status_code

    busy = cpu_seconds(served.process.pid)
    status = send()
    busy = cpu_seconds(served.process.pid) - busy
    watcher = threading.Thread(target=watch)
    watcher.start()
    send()
    done.set()
    watcher.join()
    return {
        "status": status,
        "cpu_ms": busy * 1e3,
        "more_mib": peak - before,
        "health_ms": max(health) * 1e3,
    }


def endless_header(served: Served, megabytes: int) -> Figures:
    """A header that does not end: CPU until the service hangs up."""
    busy, sent = cpu_seconds(served.process.pid), 0
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        try:
            connection.sendall(b"POST /v1/predict HTTP/1.1\r\nX: ")
            for _ in range(megabytes * 16):
                connection.sendall(b"x" * 2**16)
                sent += 2**16
        except OSError:
            pass
    return {"sent_mib": sent / 2**20, "cpu_ms": (cpu_seconds(served.process.pid) - busy) * 1e3}


def router_microseconds(version: Path, size: int) -> Figures:
    """Time per candidate of the router alone, medians: of setups that it remembers, as those of a
    warm version, and of those that it searches its table for."""
    setups = pq.read_table(version / "assets.extra" / "routing.parquet")["setup_id"].to_pylist()
    ids = np.random.default_rng(3).choice(setups, size).tolist()

    def took(call: Callable[[], object]) -> float:
        began = time.perf_counter()
        call()
        return (time.perf_counter() - began) / size * 1e6

    times: dict[str, list[float]] = {"known_us": [], "searched_us": []}
    for _ in range(50):
        table = RoutingTable.load(version)
        router = Router(table)
        router.route([setup_id(["new"] * len(table.settings.setup))])
        times["searched_us"].append(took(partial(router.route, ids)))
        table.remember()
        times["known_us"].append(took(partial(router.route, ids)))
    return {name: median(spent) for name, spent in times.items()}


def beside_pushes(served: Served, every: float, turn: Callable[[], Figures]) -> Figures:
    """A turn without pushes and one with them, and what these make of its latencies.

    On a machine that other work shares, a p99 says little without that of the turn beside it.
    """
    quiet = turn()
    before = served.pushed
    with served.pushes(every):
        pushing = turn()
    served.await_version(served.newest)
    return {
        "quiet_p50_ms": quiet["p50_ms"],
        "quiet_p99_ms": quiet["p99_ms"],
        "p50_ms": pushing["p50_ms"],
        "p99_ms": pushing["p99_ms"],
        "quiet_p99_over_p50": quiet["p99_ms"] / quiet["p50_ms"],
        "p99_over_p50": pushing["p99_ms"] / pushing["p50_ms"],
        "p99_over_quiet_p99": pushing["p99_ms"] / quiet["p99_ms"],
        "failed": quiet["failed"] + pushing["failed"],
        "mixed": pushing.get("mixed", 0),
        "pushes": served.pushed - before,
        "load_s": served.load_seconds(),
    }


def ratio(those: Sequence[float], these: Sequence[float]) -> float:
    """Median over the rounds of that of each."""
    return median(a / b for a, b in zip(those, these, strict=True))


def medians(rounds: list[Figures]) -> Figures:
    """Of each number over the rounds."""
    return {
        key: median(r[key] for r in rounds)
        for key, value in rounds[0].items()
        if isinstance(value, int | float)
    }


def say(what: str, figures: Mapping[str, Any]) -> None:
    shown = {k: round(v, 3) if isinstance(v, float) else v for k, v in figures.items()}
    click.echo(f"{what}: {json.dumps(shown)}")


@click.command()
@click.option("--serving", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--contract", default="complete_journey", show_default=True)
@click.option("--before", type=click.Path(path_type=Path, exists=True), help="Another checkout.")
@click.option("--seconds", default=5, show_default=True, help="Length of a turn.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--connections", default=2, show_default=True)
@click.option("--every", default=4.0, show_default=True, help="Seconds between two pushes.")
@click.option("--push-seconds", default=16, show_default=True, help="Turn with pushes.")
@click.option("--json", "report", type=click.Path(path_type=Path), help="File for the figures.")
def main(
    serving: Path,
    contract: str,
    before: Path | None,
    seconds: int,
    rounds: int,
    connections: int,
    every: float,
    push_seconds: int,
    report: Path | None,
) -> None:
    """Prints a line for each measurement; figures are medians over the rounds."""
    newest = ServingFolder(serving).newest()
    if newest is None:
        raise click.UsageError(f"{serving}: no version")
    source = newest.path
    figures: Figures = {"machine": machine()}

    def tell(what: str, measured: Figures) -> None:
        figures[what] = measured
        say(what, measured)

    for size in SIZES:
        tell(f"router, {size} candidates, microseconds each", router_microseconds(source, size))
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        work = Path(name)
        swapped(source, work / "swapped")
        versions = {RoutingTable.load(source).assignment_id: source, "swapped": work / "swapped"}
        files = {size: work / f"{size}.json" for size in SIZES}
        for size, file in files.items():
            file.write_bytes(make_body(source, contract, size))
        requests = {
            "serving": str(serving),
            "bodies": {str(size): str(file) for size, file in files.items()},
        }
        decoders = in_child(f"{STAGES_MODULE}:decoder_times", requests).result
        for size in SIZES:
            tell(f"{size} candidates, CPU ms of decoding, by decoder", decoders[str(size)])
        checkouts = {SERVICE: ROOT} | ({BEFORE: before.resolve()} if before else {})
        services = {n: Served(c, versions, work / n) for n, c in checkouts.items()}
        peer = Peer(source)
        stack.callback(peer.close)
        for served in services.values():
            stack.callback(served.close)
        stages = stack.enter_context(Turns(f"{STAGES_MODULE}:Stages", requests))
        for size, file in files.items():
            expected = {n: served.expect(file.read_bytes(), size) for n, served in services.items()}
            for what, measured in (
                turns_of(size, file, expected, services, peer, stages, seconds, rounds, connections)
                | push_turns(
                    size, file, expected, services, push_seconds, every, rounds, connections
                )
            ).items():
                tell(what, measured)
        for n, served in services.items():
            tell(f"memory, {n}, MiB", {"pss": memory_mib(served.process.pid)})
        served = services[SERVICE]
        for what, body in worst_bodies(source, contract, 8 * 2**20).items():
            tell(f"worst bodies, {what}", attack(served, body))
        tell("endless header", endless_header(served, 256))
    write(report, figures)


def turns_of(
    size: int,
    file: Path,
    expected: Mapping[str, list[str]],
    services: Mapping[str, Served],
    peer: Peer,
    stages: Turns,
    seconds: int,
    rounds: int,
    connections: int,
) -> dict[str, Figures]:
    """All contestants on a request of so many candidates, in turns."""
    body = file.read_bytes()
    others = other_bodies(body)
    examples = _body_examples(body)
    turns: dict[str, list[Figures]] = {n: [] for n in (*services, *others, GRPC)}
    in_a_loop: list[Figures] = []
    for _ in range(rounds):
        in_a_loop.append(stages.block())
        for n, served in services.items():
            turns[n].append(served.load(file, expected[n], seconds, connections))
        for n, (media, other) in others.items():
            place = file.with_suffix(f".{n}")
            place.write_bytes(other)
            load = place, expected[SERVICE], seconds, connections, media
            turns[n].append(services[SERVICE].load(*load))
        turns[GRPC].append(peer.load(examples, seconds, connections))
    times = medians(in_a_loop)
    cpu = {n: [figures["cpu_ms"] for figures in measured] for n, measured in turns.items()}
    within = {stage: times[key_of(size, stage)] for stage in STAGES}
    shares = within | {"HTTP and the way to the model": median(cpu[SERVICE]) - sum(within.values())}
    alone = [block[key_of(size, ALONE)] for block in in_a_loop]
    return (
        {f"{size} candidates, {OTHER_BITS}": {"candidates": times[key_of(size, OTHER_BITS)]}}
        | {
            f"{size} candidates, CPU by stage, {unit}": {n: v * scale for n, v in shares.items()}
            for unit, scale in (("ms a request", 1.0), ("us a candidate", 1e3 / size))
        }
        | {f"{size} candidates, {n}": medians(measured) for n, measured in turns.items()}
        | {
            f"{size} candidates, CPU over {ALONE}, in a loop": {
                n: ratio(spent, alone) for n, spent in cpu.items()
            },
            f"{size} candidates, CPU over {GRPC}": {
                n: ratio(spent, cpu[GRPC]) for n, spent in cpu.items() if n != GRPC
            },
        }
    )


def push_turns(
    size: int,
    file: Path,
    expected: Mapping[str, list[str]],
    services: Mapping[str, Served],
    seconds: int,
    every: float,
    rounds: int,
    connections: int,
) -> dict[str, Figures]:
    """Turns with pushes beside turns without any, as fast as it goes and at a fixed rate."""
    body = file.read_bytes()
    found: dict[str, Figures] = {}
    for n, served in services.items():
        at_full_load = partial(served.load, file, expected[n], seconds, connections)
        url = f"{served.url}/v1/predict"
        at_a_rate = partial(at_rate, url, body, RATES[size], seconds, 4)
        for what, turn in (
            (f"{size} candidates, {n}, pushes", at_full_load),
            (f"{RATES[size]} requests/s of {size} candidates, {n}, pushes", at_a_rate),
        ):
            found[what] = medians([beside_pushes(served, every, turn) for _ in range(rounds)])
    return found


def _body_examples(body: bytes) -> list[bytes]:
    """The candidates of a request as serialized tf.Examples, the context in each."""
    from tensorflow.core.example import example_pb2

    request = json.loads(body)
    made = []
    for candidate in request["candidates"]:
        example = example_pb2.Example()
        for name, value in (request["context"] | candidate["features"]).items():
            feature = example.features.feature[name]
            if isinstance(value, str):
                feature.bytes_list.value.append(value.encode())
            else:
                feature.float_list.value.append(value)
        made.append(example.SerializeToString())
    return made


if __name__ == "__main__":
    main()
