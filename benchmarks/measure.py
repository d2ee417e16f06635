"""Runs one contestant at a time, each in a process of its own, and says what it took."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Measurement:
    """One call of a function in a fresh process.

    Attributes:
      wall, cpu: seconds of the call, without the process's imports; cpu over all its threads.
      peak_gb: largest resident memory of the process, 10^9 bytes.
      load: machine's load average of the last minute when the call began.
      result: what the function returned.
    """

    wall: float
    cpu: float
    peak_gb: float
    load: float
    result: Any


def in_child(
    function: str, arguments: Mapping[str, Any], limit: float | None = None
) -> Measurement:
    """Calls `package.module:function` with keyword arguments in a new process.

    Args:
      limit: seconds after which it is ended.

    Raises:
      RuntimeError: the call failed; the message ends with its last lines.
      subprocess.TimeoutExpired: it took longer than the limit.
    """
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "sample.json"
        command = [sys.executable, "-m", "benchmarks.child", function, str(answer)]
        done = subprocess.run(
            [*command, json.dumps(dict(arguments))],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=limit,
        )
        if done.returncode:
            raise RuntimeError(f"{function} failed:\n" + "\n".join(done.stderr.splitlines()[-15:]))
        return Measurement(**json.loads(answer.read_text(encoding="utf-8")))


def middle(samples: list[Measurement], what: str) -> float:
    """Median of one attribute."""
    return float(median(getattr(sample, what) for sample in samples))


def machine() -> dict[str, Any]:
    """What the figures depend on besides the code."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ),
        "unknown",
    )
    return {"cpu": model, "cores": os.cpu_count(), "load_average": os.getloadavg()}


def as_json(samples: list[Measurement]) -> list[dict[str, Any]]:
    return [asdict(sample) for sample in samples]


def write(path: Path | None, report: Mapping[str, Any]) -> None:
    """Writes the report as JSON where a path is given."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
