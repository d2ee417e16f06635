"""Broken requests, sent to `hardtower serve` over HTTP."""

from __future__ import annotations

import json
import math
import random
import re
import socket
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from benchmarks.fuzz.outcomes import Outcome, damage
from common.runs.info import RunInfo
from common.versions.digest import model_digest, write_sums
from common.versions.folder import ServingFolder
from common.versions.manifest import build_manifest

HOST = "127.0.0.1"
PATIENCE = 120.0
"""Seconds for the service to load."""

ROUTING = {
    "assignment_id": "a0",
    "alpha": 0.01,
    "online_alpha": 0.009,
    "setup": ["shop", "goal"],
    "unknown_setups": [{"category": None, "advertiser_type": None, "task": "soft"}],
}
SOUND: dict[str, Any] = {
    "request_id": "r",
    "context": {"price": 1.5},
    "candidates": [
        {"setup_id": "a|buy", "features": {"shop": "a", "goal": "buy"}},
        {"features": {"shop": "b", "goal": "lead", "price": None}, "category": "x"},
    ],
}
WRONG: tuple[Any, ...] = ([], [[]], {"a": 1}, {"x": {}}, True)
"""None of these is the value of a text or of a feature."""


class Requests:
    """A service of two small models while the block lasts."""

    def __enter__(self) -> Requests:
        self._folder = tempfile.TemporaryDirectory()
        serving = Path(self._folder.name, "serving")
        ServingFolder(serving).publish(_fill)
        with socket.socket() as free:
            free.bind((HOST, 0))
            self._port = free.getsockname()[1]
        command = [sys.executable, "-m", "pipeline.cli", "serve", "--serving", str(serving)]
        self._log = Path(self._folder.name, "log").open("wb")
        self._process = subprocess.Popen(
            [*command, "--port", str(self._port)], stdout=self._log, stderr=self._log
        )
        end = time.monotonic() + PATIENCE
        while self._ready() != 200:
            if time.monotonic() > end or self._process.poll() is not None:
                raise RuntimeError(f"no service: {Path(self._log.name).read_text()[-2000:]}")
            time.sleep(0.2)
        status, text = self._ask("POST", "/v1/predict", json.dumps(SOUND).encode())
        if status != 200 or not _is_answer(text):
            raise RuntimeError(f"the sound request is answered {status} {text!r}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.wait()
        self._log.close()
        self._folder.cleanup()

    def try_one(self, seed: int, folder: Path) -> Outcome:
        """Sends one broken body, and judges the answer."""
        rng = random.Random(f"request {seed}")
        sound = json.dumps(SOUND).encode()
        if rng.random() < 0.5:
            change, body = damage(sound, rng)
            refused = False
        else:
            change, body = _wrong(rng)
            refused = True
        change = f"request: {change}"
        try:
            status, text = self._ask("POST", "/v1/predict", body)
        except (OSError, HTTPException) as error:
            dead = self._process.poll() is not None
            return Outcome("crash" if dead else "traceback", change, repr(error))
        if status >= 500:
            return Outcome("traceback", change, f"{status} {text[:200]!r}")
        if status == 200:
            if refused or not _is_answer(text):
                return Outcome("nonsense", change, f"{text[:200]!r}")
            return Outcome("accepted", change)
        named = status in (400, 413, 422) and json.loads(text)["errors"][0]["message"]
        return Outcome("refused" if named else "unnamed", change, f"{status} {text[:200]!r}")

    def _ready(self) -> int:
        try:
            return self._ask("GET", "/ready", b"")[0]
        except OSError:
            return 0

    def _ask(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        connection = HTTPConnection(HOST, self._port, timeout=30)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


def _wrong(rng: random.Random) -> tuple[str, bytes]:
    """A request that must be refused."""
    request = json.loads(json.dumps(SOUND))
    kind = rng.choice(
        ("feature", "text", "unknown", "none", "deep", "many", "UTF-16", "twice", "parts", "denied")
    )
    value = rng.choice(WRONG)
    if kind == "feature":
        rng.choice(request["candidates"])["features"][rng.choice(("shop", "goal", "price"))] = value
    elif kind == "text":
        key = rng.choice(("setup_id", "category", "advertiser_type", "key"))
        request["candidates"][0][key] = rng.choice((*WRONG, "x" * 2000))
    elif kind == "unknown":
        rng.choice([request, *request["candidates"]])[f"k{rng.randrange(9)}"] = value
    elif kind == "none":
        request["candidates"] = rng.choice(([], None, {}, "x", [1]))
    elif kind == "twice":
        text = json.dumps(request)
        place = rng.choice([found.start() for found in re.finditer(r'"\w+": ', text)])
        _, end = json.JSONDecoder().raw_decode(text, text.index(": ", place) + 2)
        return f"{kind}: {text[place:end]}", f"{text[:end]}, {text[place:]}".encode()
    elif kind == "parts":
        request["candidates"][0] = {"setup_id": rng.choice(("", "a", "a|", "|buy", "a|buy|x"))}
    elif kind == "denied":
        setup = rng.choice(("a|buy", "new|buy"))
        feature = rng.choice(({"shop": "z"}, {"goal": "lead"}))
        request["candidates"][0] = {"setup_id": setup, "features": feature}
    elif kind == "deep":
        return kind, b'{"candidates":' + b"[" * rng.choice((200, 5000, 100_000))
    elif kind == "many":
        request["candidates"] = [{}] * rng.choice((1001, 50_000))
    else:
        return kind, json.dumps(request).encode("utf-16")
    return f"{kind}: {value!r}", json.dumps(request).encode()


def _is_answer(text: bytes) -> bool:
    """Whether each prediction is a probability and a task."""
    predictions = json.loads(text)["predictions"]
    return bool(predictions) and all(
        math.isfinite(p["probability"]) and 0 <= p["probability"] <= 1 and p["task"]
        for p in predictions
    )


def _fill(folder: Path, number: int) -> None:
    """A version whose two models look at the price alone."""
    extra = folder / "assets.extra"
    _save(folder, 0.5)
    _save(extra / "one_task", -0.5)
    row = {"setup_id": "a|buy", "task": "hard", "reason": "history", "historical_cvr": 0.001}
    pq.write_table(pa.Table.from_pylist([row]), extra / "routing.parquet")
    (extra / "routing.json").write_text(json.dumps(ROUTING))
    manifest = build_manifest(
        run=RunInfo(run_id="r", as_of="2026-02-01"),
        assignment=ROUTING,
        splits={},
        metrics=[],
        verdict={"blessed": True},
        model_digest=model_digest(folder),
        one_task_digest=model_digest(extra / "one_task"),
        created=datetime(2026, 2, 1, tzinfo=UTC),
        version=number,
    )
    (extra / "manifest.json").write_text(manifest.model_dump_json())
    write_sums(folder)


def _save(path: Path, slope: float) -> None:
    module = tf.Module()
    inputs = {
        "price": tf.TensorSpec([None], tf.float32, name="price"),
        "shop": tf.TensorSpec([None], tf.string, name="shop"),
        "goal": tf.TensorSpec([None], tf.string, name="goal"),
    }

    @tf.function(input_signature=[inputs])
    def raw(features: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        price = tf.where(tf.math.is_finite(features["price"]), features["price"], 0.0)
        return {"probability": tf.sigmoid(price * slope)}

    module.raw = raw
    tf.saved_model.save(module, str(path), {"raw": raw.get_concrete_function()})
