"""One network trained by this project, by Keras `fit` and by PyTorch, in turns.

    python -m benchmarks.training                           without PyTorch
    python -m benchmarks.training --torch-python PYTHON     an interpreter that has torch, numpy
    python -m benchmarks.training --big-table 10000000      memory of a table of that many rows

Every contestant trains the network of `benchmarks.contestants.training_task` (same widths, same
examples, batches of 4096) in a process of its own. They run a block of steps each, one after the
other, round after round; ratios are taken within a round, and the median over the rounds is
printed, by CPU time and by wall time. Building, tracing and a first block are not counted. The
limit is what products of large square matrices reach in the same rounds.

A contestant of this project makes its batches while the clock runs, shuffled anew in each block;
PyTorch's lie ready. Keras draws its own.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.measure import machine, write
from benchmarks.turns import Figures, Turns

HERE = "benchmarks.contestants.train_hardtower"
KERAS = "Keras fit, Adam"
PLAIN = "hardtower float32"
FASTEST = "hardtower bfloat16"
LOW_RANK = "hardtower bfloat16, rank 64"
SPARSE, RECIPE = "torch SparseAdam", "torch SparseAdam, routed bfloat16"
RANK = 64


@dataclass(frozen=True)
class Entry:
    """A contestant.

    Attributes:
      options: arguments of its function.
      limit: which matrix products bound it; none for peers.
      routed, rank: what decides the operations of an example.
    """

    function: str
    options: dict[str, Any]
    limit: str | None = None
    routed: bool = True
    rank: int | None = None


ENTRIES = {
    KERAS: Entry("benchmarks.contestants.train_keras:Fit", {}),
    "hardtower float32, unrouted": Entry(
        f"{HERE}:Training", {"routed": False}, "float32", routed=False
    ),
    PLAIN: Entry(f"{HERE}:Training", {}, "float32"),
    "hardtower float32, exact Adam": Entry(f"{HERE}:Training", {"lazy_adam": False}, "float32"),
    FASTEST: Entry(f"{HERE}:Training", {"precision": "bfloat16"}, "bfloat16"),
    LOW_RANK: Entry(
        f"{HERE}:Training", {"precision": "bfloat16", "cross_rank": RANK}, "bfloat16", rank=RANK
    ),
}
TORCH = {
    "torch Adam": {"sparse": False, "routed": False, "bfloat16": False},
    SPARSE: {"sparse": True, "routed": False, "bfloat16": False},
    RECIPE: {"sparse": True, "routed": True, "bfloat16": True},
}
TORCH_ENVIRONMENT = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Spinning OpenMP threads would take the cores from whoever has its turn."""

TARGETS = (
    (FASTEST, KERAS, 3.0),
    (LOW_RANK, KERAS, 5.0),
    (PLAIN, KERAS, 2.0),
    (FASTEST, SPARSE, 2.5),
    (FASTEST, RECIPE, 1.3),
)
"""Contestant, peer, ratio wanted."""

Rounds = dict[str, list[Figures]]


def ratio(rounds: Rounds, one: str, other: str, what: str) -> float:
    """Median over the rounds of other's cost an example over one's."""

    def cost(figures: Figures) -> float:
        return figures[what] / figures["examples"]

    pairs = zip(rounds[one], rounds[other], strict=True)
    return float(median(cost(theirs) / cost(ours) for ours, theirs in pairs))


def flops(entry: Entry) -> float:
    """Floating point operations of one example in a training step."""
    from benchmarks.contestants.training_network import layout, model
    from components.trainer.network.size import training_flops

    shares = {"hard": 0.5, "soft": 0.5} if entry.routed else None
    return training_flops(model(entry.rank), layout(), shares)


def reached(rounds: Rounds, name: str, entry: Entry) -> float:
    """Median share of the round's limit, by the CPU time both took."""
    work = flops(entry)
    shares = []
    for ours, limit in zip(rounds[name], rounds[f"limit {entry.limit}"], strict=True):
        done = work * ours["examples"] / ours["cpu"]
        shares.append(done / (limit["gflops"] * 1e9 * limit["wall"] / limit["cpu"]))
    return float(median(shares))


def run(steps: int, rounds: int, torch_python: str | None) -> Rounds:
    """All contestants' figures, one entry a round."""
    measured: Rounds = {}
    with ExitStack() as stack:
        turns = {
            name: stack.enter_context(Turns(entry.function, {"steps": steps, **entry.options}))
            for name, entry in ENTRIES.items()
        }
        for precision in ("float32", "bfloat16"):
            limit = Turns(f"{HERE}:Gemm", {"precision": precision})
            turns[f"limit {precision}"] = stack.enter_context(limit)
        if torch_python is not None:
            for name, options in TORCH.items():
                peer = Turns(
                    "benchmarks.contestants.train_torch:Training",
                    {"steps": steps, **options},
                    torch_python,
                    TORCH_ENVIRONMENT,
                )
                turns[name] = stack.enter_context(peer)
        for _ in range(rounds):
            for name, contestant in turns.items():
                measured.setdefault(name, []).append(contestant.block())
    return measured


def big_table(rows: int, steps: int) -> dict[str, float]:
    """Peak memory, 10^9 bytes, of training with one table of so many rows, by optimizer."""
    peaks = {}
    for lazy in (True, False):
        with Turns(f"{HERE}:BigTable", {"rows": rows, "lazy_adam": lazy, "steps": steps}) as one:
            peaks["lazy Adam" if lazy else "exact Adam"] = one.block()["peak_gb"]
    with Turns(f"{HERE}:BigTable", {"rows": 1000, "lazy_adam": True, "steps": steps}) as one:
        peaks["without the table"] = one.block()["peak_gb"]
    return peaks


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=10, help="of a block")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--torch-python", help="interpreter with torch and numpy")
    parser.add_argument("--big-table", type=int, metavar="ROWS", help="measure memory instead")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    console = Console(highlight=False, width=120)
    if options.big_table:
        peaks = big_table(options.big_table, options.steps)
        values = options.big_table * 16 * 4 / 1e9
        console.print(
            f"a table of {options.big_table:,} rows, 16 wide: {values:.2f} GB of weights, "
            f"{3 * values:.2f} GB with Adam's moments"
        )
        for name, peak in peaks.items():
            console.print(f"{name}: peak {peak:.2f} GB")
        write(options.json, {"machine": machine(), "peaks": peaks})
        return
    rounds = run(options.steps, options.rounds, options.torch_python)
    _show(console, rounds)
    write(options.json, {"machine": machine(), "rounds": rounds})


def _show(console: Console, rounds: Rounds) -> None:
    table = Table(title=f"training, medians of {len(rounds[KERAS])} rounds")
    for name in ("contestant", "examples/s", "by CPU", "by wall", "of limit", "input", "loss"):
        table.add_column(name, justify="left" if name == "contestant" else "right")
    for name, blocks in rounds.items():
        if name.startswith("limit"):
            continue
        entry = ENTRIES.get(name)
        rate = median(b["examples"] / b["wall"] for b in blocks)
        spent = [b["input"] / b["wall"] for b in blocks if "input" in b]
        table.add_row(
            name,
            f"{rate:,.0f}",
            f"{ratio(rounds, name, KERAS, 'cpu'):.2f}x",
            f"{ratio(rounds, name, KERAS, 'wall'):.2f}x",
            f"{reached(rounds, name, entry):.0%}" if entry and entry.limit else "",
            f"{median(spent):.1%}" if spent else "",
            f"{blocks[-1]['loss']:.4f}",
        )
    console.print(table)
    console.print(f"ratios against {KERAS}; input: share of the block's wall time")
    for precision in ("float32", "bfloat16"):
        speed = median(b["gflops"] for b in rounds[f"limit {precision}"])
        console.print(f"limit in {precision}: {speed:.0f} GFLOP/s")
    for name, peer, wanted in TARGETS:
        if peer in rounds:
            by_cpu, by_wall = (ratio(rounds, name, peer, what) for what in ("cpu", "wall"))
            console.print(
                f"{name} against {peer}: {by_cpu:.2f}x by CPU, {by_wall:.2f}x by wall "
                f"(wanted {wanted}x)"
            )
    loads = median(b["evaluation"] / b["wall"] for b in rounds[PLAIN])
    console.print(f"scoring the same examples takes {loads:.0%} of training on them ({PLAIN})")


if __name__ == "__main__":
    main()
