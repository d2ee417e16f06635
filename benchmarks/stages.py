"""How much of a run of the pipeline is overhead that more data would not add to.

    python -m benchmarks.stages                              150,000 simulated clicks
    python -m benchmarks.stages --config complete_journey

The same pipeline runs on the log and on every n-th row of it, in as many shards, each time in a
fresh process and an empty folder. A stage's executor takes t = fixed + rows x marginal; the two
runs give both. The launcher's share of a stage (driver, metadata, publishing) is timed around the
executor.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.logs import simulated, thinned
from benchmarks.measure import Measurement, as_json, in_child, machine, write
from common.as_of import resolve_as_of
from components.example_gen.readers.source import Window
from pipeline.config import load_config

TFX_STAGES = ("StatisticsGen", "ExampleValidator", "Transform")
"""Stages whose executors are TFX's own; the others run this project's code."""

Run = list[Measurement]


@dataclass(frozen=True)
class StageCost:
    """Seconds of one stage, medians over the runs: its executor's fixed and data-driven part."""

    name: str
    wall: float
    launcher: float
    fixed: float
    marginal: float


def costs(whole: Run, thin: Run, every: int) -> list[StageCost]:
    """Splits each stage's time, given the runs on a log and on 1/every of its rows."""
    stages = []
    for name in whole[0].result["stages"]:
        full = _stage(whole, name, "executor")
        small = _stage(thin, name, "executor")
        fixed = min(max((every * small - full) / (every - 1), 0.0), full)
        stages.append(
            StageCost(
                name,
                _stage(whole, name, "wall"),
                _stage(whole, name, "wall") - full,
                fixed,
                full - fixed,
            )
        )
    return stages


def summary(stages: list[StageCost], imports: float, total: float) -> dict[str, float]:
    """Seconds by kind, and the shares of the whole run that are overhead."""
    fixed_tfx = sum(s.fixed for s in stages if s.name in TFX_STAGES)
    fixed_own = sum(s.fixed for s in stages if s.name not in TFX_STAGES)
    launcher = sum(s.launcher for s in stages)
    tfx = imports + launcher + fixed_tfx
    return {
        "imports": imports,
        "launcher_and_metadata": launcher,
        "fixed_tfx_stages": fixed_tfx,
        "fixed_own_stages": fixed_own,
        "work_on_rows": sum(s.marginal for s in stages),
        "total": total,
        "share_tfx_overhead": tfx / total,
        "share_all_fixed": (tfx + fixed_own) / total,
    }


def _stage(runs: Run, name: str, what: str) -> float:
    return float(median(run.result["stages"][name][what] for run in runs))


def _show(
    console: Console, stages: list[StageCost], shares: Mapping[str, float], clicks: int
) -> None:
    table = Table(title=f"{clicks:,} clicks, seconds")
    table.add_column("stage")
    for name in ("wall", "launcher, metadata", "fixed", "work on rows"):
        table.add_column(name, justify="right")
    for stage in stages:
        cells = (stage.wall, stage.launcher, stage.fixed, stage.marginal)
        table.add_row(stage.name, *(f"{value:.2f}" for value in cells))
    console.print(table)
    totals = Table(title="share of the run")
    totals.add_column("what")
    totals.add_column("seconds", justify="right")
    totals.add_column("share", justify="right")
    for name, key in (
        ("imports and compiling the DAG", "imports"),
        ("launcher and metadata", "launcher_and_metadata"),
        ("fixed cost of TFX's stages", "fixed_tfx_stages"),
        ("fixed cost of own stages (tracing, export, report)", "fixed_own_stages"),
        ("work on rows", "work_on_rows"),
    ):
        totals.add_row(name, f"{shares[key]:.1f}", f"{shares[key] / shares['total']:.1%}")
    totals.add_section()
    for name, key in (
        ("TFX overhead (the first three)", "share_tfx_overhead"),
        ("all that is fixed (the first four)", "share_all_fixed"),
    ):
        totals.add_row(name, f"{shares[key] * shares['total']:.1f}", f"{shares[key]:.1%}")
    totals.add_row("whole run", f"{shares['total']:.1f}", "100%")
    console.print(totals)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="simulator", help="configuration of the pipeline")
    parser.add_argument("--clicks", type=int, default=150_000, help="of a simulated log")
    parser.add_argument("--every", type=int, default=10, help="thin log: every n-th row")
    parser.add_argument("--repeats", type=int, default=1, help="runs of either log")
    parser.add_argument("--logs", type=Path, default=Path("out/benchmarks"), help="kept logs")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    console = Console(highlight=False)

    overrides: list[str] = []
    if options.config == "simulator":
        log = simulated(options.logs.absolute(), options.clicks)
        overrides.append(f"input.root={log}")
    config = load_config(options.config, overrides)
    window = Window.before(resolve_as_of(config.as_of), config.window_days)
    whole: Run = []
    thin: Run = []
    with tempfile.TemporaryDirectory() as temp:
        contract = thinned(
            config.data_contract, Path(config.input.root), window, options.every, Path(temp) / "log"
        )
        # A sample of a log may hold no rare setup at all; which rows are hard changes no cost.
        sampled = [
            f"contract={contract}",
            f"input={{root: {contract.parent}}}",
            "labelling.alpha=0.15",
        ]
        for _ in range(options.repeats):
            for runs, changes in ((whole, overrides), (thin, sampled)):
                out = Path(temp) / "out"
                run: dict[str, Any] = {
                    "config": options.config,
                    "overrides": changes,
                    "out": str(out),
                }
                runs.append(in_child("benchmarks.contestants.whole_run:whole_run", run))
                shutil.rmtree(out)
    stages = costs(whole, thin, options.every)
    imports = float(median(run.result["imports"] for run in whole))
    shares = summary(stages, imports, float(median(run.wall for run in whole)))
    _show(console, stages, shares, whole[0].result["clicks"])
    console.print(f"{options.repeats} runs of either log; load average {whole[0].load:.1f}")
    report = {"machine": machine(), "stages": [asdict(s) for s in stages], "summary": shares}
    write(options.json, report | {"whole": as_json(whole), "thin": as_json(thin)})


if __name__ == "__main__":
    main()
