"""What each architecture weighs and costs, by its settings and by the clock.

    python -m benchmarks.architectures

20 categorical features 16 wide and 4 numbers with their flags, 2 cross layers before the towers
and 2 cross layers, 256 and 128 units in each; a fifth of the examples hard. All networks take
training steps in one process, in turns, so that the ratios to `shared bottom` stand on a machine
that does other work too.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.measure import machine, write
from components.trainer.data.batches import Batch, batch_of
from components.trainer.data.columns import Columns, task_numbers
from components.trainer.network.network import TwoTowerDCN
from components.trainer.network.size import forward_flops, matched, parameters, training_flops
from components.trainer.settings import LossSettings, ModelSettings, TrainingSettings
from components.trainer.step.step import TrainStep
from components.transform.layout import FeatureLayout

FEATURES, ROWS, WIDTH, NUMBERS = 20, 5_000, 16, 4
HARD_SHARE = 0.2

SHARED_BOTTOM = ModelSettings(cross_layers=4, hidden_units=(256, 128), shared_layers=2)


@dataclass
class Contestant:
    """A network, its batch, and the CPU seconds of each round of steps."""

    name: str
    step: TrainStep
    batch: Batch
    seconds: list[float]

    @property
    def shares(self) -> dict[str, float]:
        """Share of the batch's examples that each tower has."""
        towers = self.step.network.settings.towers
        return dict(zip(towers, self.batch.counts / len(self.batch.label), strict=True))

    def run(self, steps: int) -> None:
        start = time.process_time()
        for _ in range(steps):
            losses = self.step(self.batch)
        float(losses.total)
        self.seconds.append((time.process_time() - start) / steps / len(self.batch.label))


@dataclass(frozen=True)
class Figures:
    """Of one architecture.

    Attributes:
      serving, full: parameters without the embedding tables.
      forward_mflop: one prediction of the serving tower.
      step_mflop: one example in a routed training step.
      cpu_us: CPU time of one example in a training step, median over the rounds.
      ratio: of that CPU time to shared bottom's in the same round, median.
    """

    name: str
    serving: int
    full: int
    forward_mflop: float
    step_mflop: float
    cpu_us: float
    ratio: float


def layout() -> FeatureLayout:
    names = tuple(f"c{i}" for i in range(FEATURES))
    numbers = tuple(f"n{i}" for i in range(NUMBERS))
    return FeatureLayout(names, (ROWS,) * FEATURES, (WIDTH,) * FEATURES, numbers)


def architectures() -> dict[str, ModelSettings]:
    """By name, shared bottom first; `equal` has as many parameters as that."""
    mmoe = SHARED_BOTTOM.model_copy(update={"architecture": "mmoe", "experts": 4})
    ple = SHARED_BOTTOM.model_copy(update={"architecture": "ple", "experts": 2, "own_experts": 1})
    two_levels = ple.model_copy(update={"extraction_levels": 2})
    networks = {"shared bottom": SHARED_BOTTOM}
    networks["4 towers"] = SHARED_BOTTOM.model_copy(update={"tier_boundaries": (0.2, 0.4)})
    for name, model in (("mmoe", mmoe), ("ple", ple), ("ple, 2 levels", two_levels)):
        networks[name] = model
        networks[f"{name}, equal"] = matched(model, SHARED_BOTTOM, layout())
    return networks


def contestant(name: str, model: ModelSettings, columns: Columns) -> Contestant:
    network = TwoTowerDCN(layout(), model, seed=1)
    batch = batch_of(
        columns,
        task_numbers(columns, model.tier_boundaries),
        np.arange(len(columns)),
        number_of_tasks=len(model.tasks),
    )
    return Contestant(name, TrainStep(network, LossSettings(), TrainingSettings()), batch, [])


def examples(n: int) -> Columns:
    rng = np.random.default_rng(1)
    hard = rng.random(n) < HARD_SHARE
    return Columns(
        rng.integers(0, ROWS, (n, FEATURES)).astype(np.int32),
        rng.standard_normal((n, 2 * NUMBERS)).astype(np.float32),
        (rng.random(n) < 0.1).astype(np.float32),
        hard,
        np.where(hard, 0.005, rng.uniform(0.02, 0.6, n)).astype(np.float32),
    )


def figures(each: Contestant, first: Contestant) -> Figures:
    model, its = each.step.network.settings, layout()
    tables = FEATURES * ROWS * WIDTH
    size = parameters(model, its)
    return Figures(
        each.name,
        size["serving"] - tables,
        size["full"] - tables,
        forward_flops(model, its) / 1e6,
        training_flops(model, its, each.shares) / 1e6,
        median(each.seconds) * 1e6,
        median(a / b for a, b in zip(each.seconds, first.seconds, strict=True)),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch-size", type=int, default=4096)
    parser.add_argument("--steps", type=int, default=3, help="of each network in a round")
    parser.add_argument("--repeats", type=int, default=7, help="rounds")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()

    columns = examples(options.batch_size)
    racing = [contestant(name, model, columns) for name, model in architectures().items()]
    for each in racing:
        each.run(2)
        each.seconds.clear()
    for _ in range(options.repeats):
        for each in racing:
            each.run(options.steps)
    rows = [figures(each, racing[0]) for each in racing]

    table = Table(title=f"Dense parameters, and an example in steps of {options.batch_size:,}")
    table.add_column("architecture")
    for head in (
        "served",
        "trained",
        "MFLOP, prediction",
        "MFLOP, training",
        "CPU us",
        "ratio",
    ):
        table.add_column(head, justify="right")
    for row in rows:
        table.add_row(
            row.name,
            f"{row.serving:,}",
            f"{row.full:,}",
            f"{row.forward_mflop:.2f}",
            f"{row.step_mflop:.2f}",
            f"{row.cpu_us:.1f}",
            f"{row.ratio:.2f}",
        )
    Console(highlight=False).print(table)
    write(options.json, {"machine": machine(), "figures": [asdict(row) for row in rows]})


if __name__ == "__main__":
    main()
