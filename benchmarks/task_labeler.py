"""The task labeller against Polars, DuckDB and row-wise Beam, on one machine in one run.

    python -m benchmarks.task_labeler                       1,000,000 and 5,000,000 clicks
    python -m benchmarks.task_labeler --clicks 1000000 --repeats 3

The task is that of `benchmarks.contestants.labelling_task`; the labeller and row-wise Beam read and
write gzip TFRecords, Polars and DuckDB Parquet. The labeller also reads the columns that ExampleGen
keeps beside its records, and writes the labelled rows as Parquet as well. Contestants take turns,
each in a fresh process. All but the labeller run on the first size only, row-wise Beam on a log of
`--beam-clicks` over as many days."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.logs import simulated
from benchmarks.measure import Measurement, as_json, in_child, machine, middle, write

HARDTOWER = "hardtower"
ROW_WISE = "row-wise Beam"
SAME = 1e-9
"""Largest difference between two contestants' CVRs."""

Race = dict[tuple[str, int], list[Measurement]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clicks", type=int, nargs="+", default=[1_000_000, 5_000_000])
    parser.add_argument("--beam-clicks", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--logs", type=Path, default=Path("out/benchmarks"), help="kept logs")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    console = Console(highlight=False, width=130)
    sizes = sorted({*options.clicks, options.beam_clicks})
    first = min(options.clicks)
    race: Race = {}
    checks: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as temp:
        logs, examples = {}, {}
        for n in sizes:
            logs[n] = str(simulated(options.logs.absolute(), n))
            examples[n] = f"{temp}/examples-{n}"
            made = {"log": logs[n], "out": examples[n]}
            in_child("benchmarks.contestants.label_hardtower:ingest", made)
        entries = [(HARDTOWER, n, "label_hardtower", {"examples": examples[n]}) for n in sizes]
        entries += [
            ("Polars", first, "label_polars", {"log": logs[first]}),
            ("DuckDB", first, "label_duckdb", {"log": logs[first]}),
            (
                ROW_WISE,
                options.beam_clicks,
                "label_beam",
                {"examples": examples[options.beam_clicks]},
            ),
        ]
        for turn in range(options.repeats):
            for name, n, module, where in entries:
                out = f"{temp}/{module}-{n}"
                call = f"benchmarks.contestants.{module}:label"
                race.setdefault((name, n), []).append(in_child(call, where | {"out": out}))
                if name != HARDTOWER and turn == 0:
                    both = {"wanted": f"{temp}/label_hardtower-{n}", "found": out}
                    compare = "benchmarks.contestants.compare_cvrs:compare"
                    checks[name] = in_child(compare, both).result
                    shutil.rmtree(out)
                elif turn + 1 < options.repeats:
                    shutil.rmtree(out)
    _show(console, race, checks, first, options.beam_clicks)
    report = {
        "machine": machine(),
        "race": [{"name": k[0], "clicks": k[1], "samples": as_json(v)} for k, v in race.items()],
        "checks": checks,
    }
    write(options.json, report)


def _show(
    console: Console, race: Race, checks: dict[str, dict[str, float]], first: int, beam: int
) -> None:
    table = Table(title="labelling, medians")
    for name in ("contestant", "clicks", "written", "wall s", "cpu s", "rows/s", "rows/cpu s"):
        table.add_column(name, justify="left" if name == "contestant" else "right")
    table.add_column("peak GB", justify="right")
    table.add_column("same CVRs as hardtower")
    for (name, n), samples in race.items():
        wall, cpu = middle(samples, "wall"), middle(samples, "cpu")
        check = checks.get(name)
        agreed = "" if check is None else _agreement(check)
        cells = [f"{n:,}", f"{samples[0].result:,}", f"{wall:.1f}", f"{cpu:.1f}"]
        cells += [f"{n / wall:,.0f}", f"{n / cpu:,.0f}", f"{middle(samples, 'peak_gb'):.2f}"]
        table.add_row(name, *cells, agreed)
    console.print(table)

    def cost(name: str, n: int, what: str) -> float:
        return middle(race[name, n], what) / n

    def ratio(name: str, n: int, what: str) -> float:
        return cost(name, n, what) / cost(HARDTOWER, n, what)

    console.print(
        f"against {ROW_WISE} at {beam:,}: {ratio(ROW_WISE, beam, 'wall'):.1f}x by wall time, "
        f"{ratio(ROW_WISE, beam, 'cpu'):.1f}x by CPU (wanted 8x at 1,000,000)"
    )
    if beam != first:
        rates = [
            cost(ROW_WISE, beam, what) / cost(HARDTOWER, first, what) for what in ("wall", "cpu")
        ]
        console.print(
            f"rate at {first:,} against that of {ROW_WISE} at {beam:,}, not run at {first:,}: "
            f"{rates[0]:.1f}x by wall time, {rates[1]:.1f}x by CPU"
        )
    for peer in ("Polars", "DuckDB"):
        console.print(
            f"against {peer} at {first:,}: {ratio(peer, first, 'wall'):.2f} of its rate by wall "
            f"time, {ratio(peer, first, 'cpu'):.2f} by CPU (wanted .20 of Polars)"
        )
    largest = max(n for name, n in race if name == HARDTOWER)
    if largest > first:
        growth = middle(race[HARDTOWER, largest], "peak_gb") / middle(
            race[HARDTOWER, first], "peak_gb"
        )
        slower = cost(HARDTOWER, largest, "cpu") / cost(HARDTOWER, first, "cpu")
        console.print(
            f"from {first:,} to {largest:,}: peak memory x{growth:.2f} (wanted at most 1.2), "
            f"CPU a row x{slower:.2f}"
        )


def _agreement(check: dict[str, float]) -> str:
    whole = check["ours"] == check["theirs"] == check["shared"]
    if whole and check["largest"] <= SAME:
        return f"yes, {check['shared']:,.0f} setup-days within {check['largest']:.0e}"
    return (
        f"NO: {check['ours']:,.0f} here, {check['theirs']:,.0f} there, {check['shared']:,.0f} in "
        f"both, differing by up to {check['largest']:.0e}"
    )


if __name__ == "__main__":
    main()
