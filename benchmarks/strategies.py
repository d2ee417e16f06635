"""What a distribution strategy and XLA cost or gain on the CPU.

    python -m benchmarks.strategies

The network and the examples of `benchmarks.training`, float32. Each way has a process of its own;
they run a block of steps each in turns, and ratios are taken within a round.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks.measure import machine, write
from benchmarks.turns import Figures, Turns

PAIRS = (("strategy", "plain"), ("xla", "unrouted"))
"""A way, and the one that it changes a single thing of."""

WAYS = ("plain", "strategy", "unrouted", "xla")


def run(steps: int, rounds: int) -> dict[str, list[Figures]]:
    """Each way's figures, one entry a round."""
    blocks: dict[str, list[Figures]] = {way: [] for way in WAYS}
    with ExitStack() as stack:
        turns = {
            way: stack.enter_context(
                Turns("benchmarks.contestants.train_strategies:Way", {"way": way, "steps": steps})
            )
            for way in WAYS
        }
        for _ in range(rounds):
            for way, contestant in turns.items():
                blocks[way].append(contestant.block())
    return blocks


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=10, help="of a block")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    rounds = run(options.steps, options.rounds)
    table = Table(title=f"ways to train, medians of {options.rounds} rounds")
    for name in ("way", "against", "time by CPU", "time by wall", "loss", "its"):
        table.add_column(name, justify="left" if name in ("way", "against") else "right")
    for way, other in PAIRS:
        ratios = (
            median(a[what] / b[what] for a, b in zip(rounds[way], rounds[other], strict=True))
            for what in ("cpu", "wall")
        )
        losses = (rounds[name][-1]["loss"] for name in (way, other))
        table.add_row(way, other, *(f"{r:.2f}x" for r in ratios), *(f"{x:.5f}" for x in losses))
    Console(highlight=False, width=120).print(table)
    write(options.json, {"machine": machine(), "rounds": rounds})


if __name__ == "__main__":
    main()
