"""The process of one contestant: see `benchmarks.measure.in_child`."""

from __future__ import annotations

import json
import os
import sys
import time
from importlib import import_module
from pathlib import Path


def peak_gb() -> float:
    """Largest resident memory of this process so far; the parent's is not in it."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e9
    raise OSError("/proc/self/status has no VmHWM")


def main() -> None:
    function, answer, arguments = sys.argv[1:]
    module, _, name = function.partition(":")
    call = getattr(import_module(module), name)
    load = os.getloadavg()[0]
    wall, cpu = time.perf_counter(), time.process_time()
    result = call(**json.loads(arguments))
    sample = {
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "peak_gb": peak_gb(),
        "load": load,
        "result": result,
    }
    Path(answer).write_text(json.dumps(sample), encoding="utf-8")


if __name__ == "__main__":
    main()
