"""What a training takes as the log grows: memory, CPU time, and the input's share of a step.

    python -m benchmarks.training_memory
    python -m benchmarks.training_memory --examples 2000000 20000000 --input disk

Examples with the simulator's features, drawn at random, and a calibration split a twelfth as large
go through the Trainer's own code: wide part and steps, calibrators and reference, each number of
examples and each place of the columns in a process of its own. Sweeps and steps are few: more
would take time, not memory.

Two sizes are given of each phase: what is the process's own (`RssAnon`), and all that is resident
(`VmRSS`), of which the mapped pages of files are the system's to take back.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.table import Table

from benchmarks.measure import as_json, in_child, machine, write

if TYPE_CHECKING:
    from components.trainer.data.columns import Columns
    from components.trainer.data.storage import Storage
    from components.trainer.loop.loop import Splits
    from components.trainer.network.network import TwoTowerDCN
    from components.trainer.settings import Recipe
    from components.transform.layout import FeatureLayout

PHASES = ("fill", "train", "calibrate")

CALIBRATION_SHARE = 12
"""Training examples for one of the calibration split."""

SCARCE = 3.0
"""Exponent of a uniform draw that ids are made of: some come often, most hardly ever."""

EVERY = 0.02
"""Seconds between two looks at the process's memory."""


class Peak:
    """Largest sizes of this process in MB while the body of a `with` statement runs."""

    def __init__(self) -> None:
        self.own = self.resident = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        ended = False
        while not ended:
            ended = self._done.wait(EVERY)
            lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
            sizes = {name: rest for name, _, rest in (line.partition(":") for line in lines)}
            self.own = max(self.own, int(sizes["RssAnon"].split()[0]) * 1024 / 1e6)
            self.resident = max(self.resident, int(sizes["VmRSS"].split()[0]) * 1024 / 1e6)


def train_on(examples: int, where: str, folder: str, steps: int) -> dict[str, Any]:
    """One training, for a process of its own.

    Returns:
      By phase `own_mb`, `resident_mb` and `cpu` seconds; `input_share`: the CPU time of making
      batches over that of making them and taking the steps.
    """
    from components.trainer.calibrate.calibrator import fit_calibrators
    from components.trainer.calibrate.reference import fit_reference
    from components.trainer.data.storage import MEMORY, Disk
    from components.trainer.loop.loop import Splits, train
    from components.trainer.settings import Recipe
    from components.transform.layout import FeatureLayout
    from pipeline.config import load_config

    config = load_config("simulator")
    training = config.training.model_copy(update={"epochs": 1, "evaluate_every": 1.0})
    few = {"max_sweeps": 2, "fold_sweeps": 1, "refit_sweeps": 1, "blocks": 2, "newcomers": False}
    wide = config.model.wide.model_copy(update=few)
    recipe = Recipe(config.model.model_copy(update={"wide": wide}), config.loss, training)
    layout = FeatureLayout.from_contract(config.data_contract)
    figures: dict[str, Any] = {}

    @contextmanager
    def phase(name: str) -> Iterator[None]:
        began = time.process_time()
        with Peak() as peak:
            yield
        cpu = time.process_time() - began
        figures[name] = {"own_mb": peak.own, "resident_mb": peak.resident, "cpu": cpu}

    storage: Storage = MEMORY if where == "memory" else Disk(folder)
    with phase("fill"):
        splits = Splits(
            drawn(examples, layout, storage, seed=1),
            drawn(examples // CALIBRATION_SHARE, layout, storage, seed=2),
            layout,
        )
    with phase("train"):
        result = train(splits, recipe, passes=steps * training.batch_size / examples)
    with phase("calibrate"):
        fit_calibrators(
            result.network, splits.calibration, training.calibration, training.evaluation_batch_size
        )
        fit_reference(splits, recipe)
    return figures | {"input_share": input_share(result.network, splits, recipe, steps)}


def drawn(n: int, layout: FeatureLayout, storage: Storage, seed: int) -> Columns:
    """Examples of random ids and numbers; half of them hard."""
    import numpy as np

    from components.trainer.data.columns import Columns
    from components.trainer.data.storage import pieces

    rng = np.random.default_rng(seed)
    ids = storage.rows((len(layout.rows),), np.int32, n)
    nums = storage.rows((layout.numeric_width,), np.float32, n)
    label, cvr = (storage.rows((), np.float32, n) for _ in range(2))
    hard = storage.rows((), np.bool_, n)
    for rows in pieces(n):
        size = rows.stop - rows.start
        of_task = rng.random(size) < 0.5
        uniform = rng.random((size, len(layout.rows)), np.float32)
        ids.append((uniform**SCARCE * np.array(layout.rows, np.float32)).astype(np.int32))
        nums.append(rng.standard_normal((size, layout.numeric_width), np.float32))
        label.append(rng.random(size) < np.where(of_task, 0.005, 0.1))
        hard.append(of_task)
        cvr.append(np.where(of_task, 0.005, 0.1))
    return Columns(
        ids.finish(), nums.finish(), label.finish(), hard.finish(), cvr.finish(), storage=storage
    )


def input_share(network: TwoTowerDCN, splits: Splits, recipe: Recipe, steps: int) -> float:
    """Share of the CPU time of `steps` steps that their batches take."""
    from components.trainer.data.batches import Feed
    from components.trainer.step.step import TrainStep

    step, making, taking = TrainStep(network, recipe.loss, recipe.training), 0.0, 0.0
    batches = Feed(splits.train, recipe.model, recipe.training).after(0)
    for number in range(steps):
        began = time.process_time()
        batch = next(batches)
        made = time.process_time()
        float(step(batch).total)
        # The first step is traced.
        if number:
            taking += time.process_time() - made
        making += made - began
    return making / (making + taking)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--examples", type=int, nargs="+", default=[1_000_000, 4_000_000])
    parser.add_argument(
        "--input", nargs="+", choices=["memory", "disk"], default=["memory", "disk"]
    )
    parser.add_argument("--steps", type=int, default=128)
    parser.add_argument("--folder", type=Path, default=Path("out/benchmarks"), help="of the files")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)

    table = Table(title="MB of its own / resident; CPU seconds")
    for head in ("input", "examples", *PHASES, "input of a step"):
        table.add_column(head, justify="right")
    samples = []
    for where in options.input:
        for examples in options.examples:
            arguments = {
                "examples": examples,
                "where": where,
                "folder": str(options.folder.absolute()),
                "steps": options.steps,
            }
            sample = in_child("benchmarks.training_memory:train_on", arguments)
            samples.append(sample)
            cells = [
                f"{of['own_mb']:,.0f} / {of['resident_mb']:,.0f}; {of['cpu']:.1f}"
                for of in (sample.result[phase] for phase in PHASES)
            ]
            share = f"{sample.result['input_share']:.1%}"
            table.add_row(where, f"{examples:,}", *cells, share)
    Console(highlight=False).print(table)
    write(options.json, {"machine": machine(), "samples": as_json(samples)})


if __name__ == "__main__":
    main()
