"""The Trainer and its graphs on a GPU beside the CPU; see `benchmarks/gpu.sh`.

    python -m benchmarks.gpu --device gpu --out benchmarks/results/gpu.json

Every phase is a process of its own with a limit, and all share one budget: what there was no time
for is said to be skipped. The file is written after each phase.

- `log`: a simulated log, labelled, its features made.
- `trainer ...`: the Trainer with the race's widths on it: on the CPU, on the device in float32 and
  in bfloat16. `parity` compares what each came to.
- `steps ...`: training steps of `benchmarks.training`'s race, where the layers alone learn; with
  their last loss in `parity` as well.
- `big table`: steps with one table of 10,000,000 rows.
- `scoring ...`: the exported serving graph on serialized tf.Examples.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import Measurement, in_child, machine, write

HERE = "benchmarks.contestants.on_device"
RESULTS = Path("benchmarks/results/gpu.json")

BUDGET = 460.0
"""Seconds for all phases; `gpu.sh` ends everything after 480."""

LEAST = 20.0
"""Seconds left below which no phase begins: imports alone take half of that."""

TOLERANCES = {"float32": 0.01, "bfloat16": 0.03}
"""How far a device may be from float32 on the CPU: log losses relative, AUCs absolute. Sums come in
another order on it, and a training amplifies that."""

SCORES = 1e-3
"""The same for probabilities of the exported graph, relative."""


@dataclass(frozen=True)
class Phase:
    """One thing to measure.

    Attributes:
      function: of `HERE`, called in a process of its own.
      limit: seconds.
      after: phases whose results it needs.
    """

    name: str
    function: str
    arguments: Mapping[str, Any]
    limit: float
    after: Sequence[str] = ()


@dataclass(frozen=True)
class Sizes:
    """How much of everything."""

    clicks: int = 200_000
    epochs: int = 4
    steps: int = 40
    blocks: int = 5
    rows: int = 10_000_000
    calls: int = 200
    overrides: tuple[str, ...] = ()


SMALL = Sizes(15_000, 1, 2, 1, 100_000, 5, ("splits.calibration_days=14", "labelling.alpha=0.05"))
"""To try the script; of so short a log the overrides give the calibration period hard
conversions."""


def phases(device: str, sizes: Sizes, folder: str) -> list[Phase]:
    """All of them, in the order in which they are run.

    Args:
      folder: for the log, its columns and the exported graph.
    """

    def trainer(on: str, precision: str) -> Phase:
        arguments = {
            "folder": folder,
            "device": on,
            "precision": precision,
            "epochs": sizes.epochs,
            "export": (on, precision) == ("cpu", "float32"),
        }
        return Phase(_named("trainer", on, precision), "trainer", arguments, 90, ["log"])

    def steps(on: str, precision: str) -> Phase:
        arguments = {
            "device": on,
            "precision": precision,
            "steps": sizes.steps,
            "blocks": sizes.blocks,
        }
        return Phase(_named("steps", on, precision), "steps", arguments, 60)

    def scoring(on: str) -> Phase:
        arguments = {"folder": folder, "device": on, "calls": sizes.calls}
        needed = _named("trainer", "cpu", "float32")
        return Phase(f"scoring, {on}", "scoring", arguments, 45, [needed])

    ways = [(device, "float32"), (device, "bfloat16")]
    if device != "cpu":
        ways.insert(0, ("cpu", "float32"))
    log = {"folder": folder, "clicks": sizes.clicks, "overrides": sizes.overrides}
    table = {"device": device, "rows": sizes.rows, "steps": sizes.steps}
    return [
        Phase("log", "log", log, 150),
        *(trainer(*way) for way in ways),
        *(scoring(on) for on in dict.fromkeys(on for on, _ in ways)),
        Phase("big table", "big_table", table, 60),
        *(steps(*way) for way in reversed(ways)),
    ]


def run(
    wanted: Sequence[Phase],
    budget: float,
    call: Callable[[str, Mapping[str, Any], float], Measurement],
    tell: Callable[[str, Mapping[str, Any]], None],
) -> dict[str, dict[str, Any]]:
    """Runs phases one after the other.

    Args:
      budget: seconds for all.
      call: as `in_child`.
      tell: called with each phase's name and outcome.

    Returns:
      By name `seconds` and `result`, or why there is none: `skipped` or `failed`.
    """
    began = time.monotonic()
    outcomes: dict[str, dict[str, Any]] = {}
    for phase in wanted:
        left = budget - (time.monotonic() - began)
        outcomes[phase.name] = _outcome(phase, outcomes, left, budget, call)
        tell(phase.name, outcomes[phase.name])
    return outcomes


def _outcome(
    phase: Phase,
    before: Mapping[str, Mapping[str, Any]],
    left: float,
    budget: float,
    call: Callable[[str, Mapping[str, Any], float], Measurement],
) -> dict[str, Any]:
    if missing := [name for name in phase.after if "result" not in before.get(name, {})]:
        return {"skipped": f"needs {', '.join(missing)}"}
    if left < LEAST:
        return {"skipped": f"{max(0.0, left):.0f} s left of {budget:.0f}"}
    limit = min(phase.limit, left)
    try:
        sample = call(f"{HERE}:{phase.function}", phase.arguments, limit)
    except subprocess.TimeoutExpired:
        return {"failed": f"over its limit of {limit:.0f} s"}
    except RuntimeError as error:
        return {"failed": str(error)}
    return {"seconds": sample.wall, "peak_gb": sample.peak_gb, "result": sample.result}


def parity(outcomes: Mapping[str, Mapping[str, Any]], device: str) -> dict[str, Any]:
    """The device's results against float32 on the CPU; what did not run is left out, and so is a
    result beside itself.

    Returns:
      By phase and metric: `cpu`, `device`, `difference` (as `TOLERANCES` measures it), `tolerance`
      and `within`.
    """

    def result(name: str) -> Any:
        return outcomes.get(name, {}).get("result")

    def pair(base: str, name: str) -> tuple[Any, Any] | None:
        both = result(base), result(name)
        return None if base == name or None in both else both

    compared: dict[str, Any] = {}
    for precision, tolerance in TOLERANCES.items():
        name = _named("trainer", device, precision)
        if (both := pair(_named("trainer", "cpu", "float32"), name)) is not None:
            theirs, mine = (one["metrics"] for one in both)
            compared[name] = {
                metric: _compared(value, mine[metric], tolerance, "auc" not in metric)
                for metric, value in theirs.items()
            }
        name = _named("steps", device, precision)
        if (both := pair(_named("steps", "cpu", "float32"), name)) is not None:
            of_cpu, of_device = (one["loss"] for one in both)
            compared[name] = {"loss": _compared(of_cpu, of_device, tolerance, True)}
    if (both := pair("scoring, cpu", f"scoring, {device}")) is not None:
        cpu, other = (np.array(one["probabilities"]) for one in both)
        worst = int(np.abs(other / cpu - 1).argmax())
        compared["scoring"] = {
            "worst probability": _compared(cpu[worst], other[worst], SCORES, True)
        }
    return compared


def _compared(cpu: float, device: float, tolerance: float, relative: bool) -> dict[str, Any]:
    difference = abs(device - cpu) / (abs(cpu) if relative else 1.0)
    return {
        "cpu": float(cpu),
        "device": float(device),
        "difference": float(difference),
        "tolerance": tolerance,
        "within": bool(difference <= tolerance),
    }


def _named(what: str, on: str, precision: str) -> str:
    return f"{what}, {on}, {precision}"


@dataclass
class _Report:
    """The file, written anew after each phase."""

    path: Path
    head: dict[str, Any]
    phases: dict[str, Any] = field(default_factory=dict)

    def add(self, name: str, outcome: Mapping[str, Any]) -> None:
        self.phases[name] = outcome
        why = [f"{key}: {outcome[key]}" for key in ("skipped", "failed") if key in outcome]
        print(f"{name}: {why[0] if why else 'done in {:.1f} s'.format(outcome['seconds'])}")
        self.write()

    def write(self) -> None:
        compared = parity(self.phases, self.head["device"])
        write(self.path, {**self.head, "parity": compared, "phases": self.phases})


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("gpu", "cpu"), default="gpu")
    parser.add_argument("--small", action="store_true", help="everything small, to try the script")
    parser.add_argument("--out", type=Path, default=RESULTS, help="file for the results")
    parser.add_argument("--budget", type=float, default=BUDGET, help="seconds for all phases")
    options = parser.parse_args(arguments)
    began = time.monotonic()
    seen = in_child(f"{HERE}:devices", {}, 90).result
    if options.device == "gpu" and not seen["gpus"]:
        sys.exit(
            "gpu: TensorFlow finds no GPU; wanted one, and its libraries: uv sync --locked "
            "--python 3.11 --extra completejourney --extra gpu --all-groups (or --device cpu)"
        )
    head = {
        "device": options.device,
        "on_gpu": options.device == "gpu",
        "small": options.small,
        "budget": options.budget,
        "machine": machine() | seen,
    }
    report = _Report(options.out.absolute(), head)
    with tempfile.TemporaryDirectory() as folder:
        wanted = phases(options.device, SMALL if options.small else Sizes(), folder)
        run(wanted, options.budget - (time.monotonic() - began), in_child, report.add)
    print(f"results in {report.path}")


if __name__ == "__main__":
    main()
