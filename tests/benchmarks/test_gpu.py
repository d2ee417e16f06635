"""The budget of `benchmarks.gpu`, what it compares, and what it reads off nvidia-smi."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from typing import Any

import pytest

from benchmarks.busy import Busy, sampled
from benchmarks.gpu import LEAST, SMALL, Phase, Sizes, parity, phases, run
from benchmarks.measure import Measurement


def call(function: str, arguments: Mapping[str, Any], limit: float) -> Measurement:
    name = function.partition(":")[2]
    if name == "slow":
        raise subprocess.TimeoutExpired(name, limit)
    if name == "broken":
        raise RuntimeError("it broke")
    return Measurement(1.0, 1.0, 0.5, 0.0, {"limit": limit, **arguments})


def test_a_phase_that_cannot_run_says_why() -> None:
    wanted = [
        Phase("first", "fine", {"a": 1}, 50),
        Phase("slow", "slow", {}, 30),
        Phase("broken", "broken", {}, 30),
        Phase("later", "fine", {}, 30, ["first", "slow"]),
        Phase("last", "fine", {}, 1e9, ["first"]),
    ]
    told: list[str] = []
    found = run(wanted, 100, call, lambda name, _: told.append(name))
    assert told == list(found) == ["first", "slow", "broken", "later", "last"]
    assert found["first"]["result"] == {"limit": 50, "a": 1}
    assert found["slow"] == {"failed": "over its limit of 30 s"}
    assert found["broken"] == {"failed": "it broke"}
    assert found["later"] == {"skipped": "needs slow"}
    assert LEAST < found["last"]["result"]["limit"] <= 100
    spent = run(wanted[:1], LEAST - 1, call, lambda *_: None)
    assert spent == {"first": {"skipped": f"{LEAST - 1:.0f} s left of {LEAST - 1:.0f}"}}


@pytest.mark.parametrize("device", ["cpu", "gpu"])
@pytest.mark.parametrize("sizes", [SMALL, Sizes()])
def test_phases_come_after_what_they_need(device: str, sizes: Sizes) -> None:
    wanted = phases(device, sizes, "folder")
    names = [phase.name for phase in wanted]
    assert len(set(names)) == len(names)
    for place, phase in enumerate(wanted):
        assert set(phase.after) <= set(names[:place])
    on = {phase.arguments["device"] for phase in wanted if "device" in phase.arguments}
    assert on == {"cpu", device}
    assert sum(phase.arguments.get("export", False) for phase in wanted) == 1


def trained(loss: float, auc: float) -> dict[str, Any]:
    return {"result": {"metrics": {"log_loss": loss, "auc": auc}}}


def test_the_device_is_compared_with_the_cpu() -> None:
    found = {
        "trainer, cpu, float32": trained(0.04, 0.7),
        "trainer, gpu, float32": trained(0.0402, 0.72),
        "trainer, gpu, bfloat16": {"skipped": "no time"},
        "scoring, cpu": {"result": {"probabilities": [0.1, 0.2]}},
        "scoring, gpu": {"result": {"probabilities": [0.1, 0.201]}},
    }
    compared = parity(found, "gpu")
    assert set(compared) == {"trainer, gpu, float32", "scoring"}
    loss, auc = compared["trainer, gpu, float32"].values()
    assert loss["difference"] == pytest.approx(0.0002 / 0.04)
    assert auc["difference"] == pytest.approx(0.02)
    assert (loss["within"], auc["within"]) == (True, False)
    score = compared["scoring"]["worst probability"]
    assert (score["cpu"], score["within"]) == (0.2, False)
    assert score["difference"] == pytest.approx(0.005)
    assert parity(found, "cpu") == {}, "a result beside itself is no comparison"


def test_lines_of_nvidia_smi() -> None:
    lines = ["50, 1024, 100.0", "100, 2048, [N/A]"]
    found = {"samples": 2, "busy": 0.75, "device_gb": 2048 * 2**20 / 1e9, "watts": 100.0}
    assert sampled(lines) == pytest.approx(found)
    with Busy(on=False) as busy:
        pass
    assert busy.figures() == {}
