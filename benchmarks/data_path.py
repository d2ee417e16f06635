"""The whole way from a user's Parquet to labelled, transformed examples, against stock TFX.

    python -m benchmarks.data_path                                     1,000,000 clicks on both
    python -m benchmarks.data_path --clicks 5000000 --stock-clicks 200000

This project: ClickLogGen, TaskLabeler, StatisticsGen, Transform (not materialized), load_columns.
Stock TFX: FileBasedExampleGen with TFX's Parquet executor, a row-wise Beam labeller, StatisticsGen,
SchemaGen, Transform (a hash or z-score of its own for each feature, materialized, its statistics
off as here). Both through TFX's launcher and Beam's DirectRunner, each in a fresh process, on the
same simulated clicks and with the labelling of `benchmarks.contestants.labelling_task`. Stock TFX
ends with examples on disk that its Trainer has yet to read; this project's with columns in memory.

StatisticsGen runs twice here: on all rows, as stock TFX does, and on the sample that the
simulator's configuration asks for, which is estimates for less work. Totals are given with either.

Where stock TFX runs on fewer clicks, both are raced at that size, and its time at the full size is
extrapolated: t = fixed + clicks x marginal, from runs of all its clicks and of half of them.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.logs import simulated
from benchmarks.measure import Measurement, as_json, in_child, machine, write

OURS, STOCK = "hardtower", "stock"
ROWS = (
    ("ingest", "ClickLogGen", "FileBasedExampleGen"),
    ("label", "TaskLabeler", "RowWiseLabeler"),
    ("schema", "ContractSchema", "SchemaGen"),
    ("statistics, all rows", "StatisticsGen.whole", "StatisticsGen"),
    ("statistics, sample", "StatisticsGen.sampled", "StatisticsGen"),
    ("transform and load", "Transform+load_columns", "Transform"),
)
"""Kind of stage; stage here; stage of stock TFX. A plus joins stages."""

TOTALS = (("total, all rows", "statistics, sample"), ("total, sample", "statistics, all rows"))
"""Total; the stage that it leaves out."""

Costs = dict[str, dict[str, float]]
"""Of each stage: cpu and wall in seconds, peak_gb."""


def costs(samples: list[Measurement], which: int) -> Costs:
    """Medians over the runs of one contestant, by the names of `ROWS`; `which` is its column."""

    def one(name: str, what: str) -> float:
        return float(median(sample.result["stages"][name][what] for sample in samples))

    by_stage = {}
    for row in ROWS:
        stages = row[which].split("+")
        by_stage[row[0]] = {
            what: sum(one(stage, what) for stage in stages) for what in ("cpu", "wall")
        }
        by_stage[row[0]]["peak_gb"] = max(one(stage, "peak_gb") for stage in stages)
    return by_stage


def extrapolated(small: Costs, large: Costs, sizes: tuple[int, int], clicks: int) -> Costs:
    """Times at `clicks` from those at two sizes, memory as at the larger one.

    A stage whose time did not grow from one size to the other is taken to be fixed.
    """
    reach = (clicks - sizes[1]) / (sizes[1] - sizes[0])
    whole = {}
    for name, cost in large.items():
        growth = {what: max(cost[what] - small[name][what], 0.0) for what in ("cpu", "wall")}
        times = {what: cost[what] + reach * growth[what] for what in growth}
        whole[name] = times | {"peak_gb": cost["peak_gb"]}
    return whole


def with_totals(by_stage: Costs) -> Costs:
    """The stages, and both totals behind them."""
    totals = {}
    for total, left_out in TOTALS:
        parts = [cost for name, cost in by_stage.items() if name != left_out]
        totals[total] = {what: sum(part[what] for part in parts) for what in ("cpu", "wall")}
        totals[total]["peak_gb"] = max(part["peak_gb"] for part in parts)
    return by_stage | totals


def _show(console: Console, title: str, ours: Costs, stock: Costs) -> dict[str, Any]:
    table = Table(title=title)
    table.add_column("stage")
    for name in ("cpu s", "stock cpu s", "ratio", "wall s", "stock wall s", "ratio"):
        table.add_column(name, justify="right")
    for name in ("peak GB", "stock peak GB"):
        table.add_column(name, justify="right")
    ours, stock = with_totals(ours), with_totals(stock)
    ratios = {}
    for name in ours:
        cells = []
        ratios[name] = {w: stock[name][w] / ours[name][w] for w in ("cpu", "wall")}
        for what, ratio in ratios[name].items():
            cells += [f"{ours[name][what]:.1f}", f"{stock[name][what]:.1f}", f"{ratio:.1f}x"]
        cells += [f"{side[name]['peak_gb']:.2f}" for side in (ours, stock)]
        if name == TOTALS[0][0]:
            table.add_section()
        table.add_row(name, *cells)
    console.print(table)
    return {"title": title, "hardtower": ours, "stock": stock, "ratios": ratios}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clicks", type=int, default=1_000_000)
    parser.add_argument("--stock-clicks", type=int, help="of stock TFX, if not all")
    parser.add_argument("--sample-rate", type=float, default=0.2, help="of sampled statistics")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--logs", type=Path, default=Path("out/benchmarks"), help="kept logs")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    console = Console(highlight=False, width=130)
    clicks, shared = options.clicks, options.stock_clicks or options.clicks
    if shared > clicks:
        parser.error(f"--stock-clicks is {shared}; wanted at most --clicks, {clicks}")
    half = shared // 2

    runs: dict[tuple[str, int], list[Measurement]] = {}
    agreement: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as temp:

        def race(*entries: tuple[str, int]) -> None:
            """Runs contestants in turn; compares the CVRs of two at the same size."""
            nonlocal agreement
            for turn in range(options.repeats):
                folders = []
                for name, n in entries:
                    log = simulated(options.logs.absolute(), n)
                    out = Path(tempfile.mkdtemp(dir=temp))
                    arguments = {"log": str(log), "out": str(out)}
                    if name == OURS:
                        arguments["sample_rate"] = options.sample_rate
                    call = f"benchmarks.contestants.path_{name}:run"
                    runs.setdefault((name, n), []).append(in_child(call, arguments))
                    folders.append(str(out))
                if turn == 0 and len(entries) == 2:
                    both = {"wanted": folders[0], "found": folders[1]}
                    call = "benchmarks.contestants.compare_cvrs:compare"
                    agreement = in_child(call, both).result
                for folder in folders:
                    shutil.rmtree(folder)

        race((OURS, shared), (STOCK, shared))
        stock = costs(runs[STOCK, shared], 2)
        title = f"{shared:,} clicks"
        tables = [_show(console, title, costs(runs[OURS, shared], 1), stock)]
        console.print(_agreement(agreement, runs[OURS, shared][0], runs[STOCK, shared][0]))
        if shared < clicks:
            race((STOCK, half))
            race((OURS, clicks))
            scaled = extrapolated(costs(runs[STOCK, half], 2), stock, (half, shared), clicks)
            title = f"{clicks:,} clicks, stock TFX extrapolated from {half:,} and {shared:,}"
            tables.append(_show(console, title, costs(runs[OURS, clicks], 1), scaled))
    loads = [sample.load for samples in runs.values() for sample in samples]
    console.print(
        f"{options.repeats} runs each; load average {min(loads):.1f} to {max(loads):.1f}; sampled "
        f"statistics from {options.sample_rate:.0%} of the rows here, always from all in stock TFX"
    )
    report = {
        "machine": machine(),
        "runs": [{"name": k[0], "clicks": k[1], "samples": as_json(v)} for k, v in runs.items()],
        "tables": tables,
        "agreement": agreement,
    }
    write(options.json, report)


def _agreement(check: dict[str, float], ours: Measurement, stock: Measurement) -> str:
    return (
        f"{ours.result['rows']:,} labelled rows here, {stock.result['rows']:,} in stock TFX; "
        f"{check['shared']:,.0f} CVRs in both of {check['ours']:,.0f} and {check['theirs']:,.0f}, "
        f"within {check['largest']:.0e}"
    )


if __name__ == "__main__":
    main()
