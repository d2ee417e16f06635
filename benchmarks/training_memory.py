"""What a training takes as the log grows: memory, CPU time, and the input's share of a step.

    python -m benchmarks.training_memory --out OUT                     1, 2 and 4 times the log
    python -m benchmarks.training_memory --out OUT --times 1 10 --input disk

`OUT` holds a finished run with the simulator's configuration. Its training and calibration files
are read several times over by other names, and go through the Trainer's own code: loading, wide
part and steps, calibrators and reference, each log and each place of the columns in a process of
its own. Sweeps and steps are few: they take time, not memory.

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
from typing import Any, Self

from rich.console import Console
from rich.table import Table

from benchmarks.measure import as_json, in_child, machine, write

PHASES = ("load", "train", "calibrate")
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


def train_on(out: str, times: int, where: str, folder: str, steps: int) -> dict[str, Any]:
    """A training on a run's clicks read `times` times over, for a process of its own.

    Returns:
      `examples` trained on, and by phase `own_mb`, `resident_mb` and `cpu` seconds; `input_share`:
      the CPU time of making batches over that of making them and taking the steps.
    """
    from benchmarks.serving_graph import newest
    from components.trainer.calibrate.calibrator import fit_calibrators
    from components.trainer.calibrate.reference import fit_reference
    from components.trainer.data.columns import known
    from components.trainer.data.load import choose_storage, load_columns
    from components.trainer.loop.loop import Splits, train
    from components.trainer.settings import Recipe
    from components.transform.layout import FeatureLayout
    from pipeline.config import load_config
    from schemas.labelled import CALIBRATION, TRAIN

    config = load_config("simulator")
    contract = config.data_contract
    training = config.training.model_copy(
        update={"input": where, "input_dir": folder, "epochs": 1, "evaluate_every": 1.0}
    )
    few = {"max_sweeps": 2, "fold_sweeps": 1, "refit_sweeps": 1, "blocks": 2, "newcomers": False}
    wide = config.model.wide.model_copy(update=few)
    recipe = Recipe(config.model.model_copy(update={"wide": wide}), config.loss, training)
    labelled = newest(Path(out), "TaskLabeler", "labelled_columns")
    graph = str(newest(Path(out), "Transform", "transform_graph"))
    figures: dict[str, Any] = {}

    @contextmanager
    def phase(name: str) -> Iterator[None]:
        began = time.process_time()
        with Peak() as peak:
            yield
        cpu = time.process_time() - began
        figures[name] = {"own_mb": peak.own, "resident_mb": peak.resident, "cpu": cpu}

    with phase("load"):
        files = {split: _repeated(labelled, split, times, folder) for split in (TRAIN, CALIBRATION)}
        storage = choose_storage(training, list(files.values()), contract)
        columns = {
            split: known(
                load_columns(patterns, graph, contract, fit="judged", storage=storage),
                training.labels,
                training.min_completeness,
            )
            for split, patterns in files.items()
        }
    splits = Splits(columns[TRAIN], columns[CALIBRATION], FeatureLayout.from_contract(contract))
    figures["examples"] = len(splits.train)
    with phase("train"):
        passes = steps * training.batch_size / len(splits.train)
        result = train(splits, recipe, passes=passes)
    with phase("calibrate"):
        fit_calibrators(
            result.network, splits.calibration, training.calibration, training.evaluation_batch_size
        )
        fit_reference(splits, recipe)
    return figures | {"input_share": _input_share(result.network, splits, recipe, steps)}


def _repeated(labelled: Path, split: str, times: int, folder: str) -> list[str]:
    links = Path(folder) / f"{split}-{times}"
    links.mkdir(exist_ok=True)
    for file in (labelled / f"Split-{split}").glob("*.parquet"):
        for number in range(times):
            link = links / f"{number:04}-{file.name}"
            if not link.is_symlink():
                link.symlink_to(file)
    return [f"{links}/*.parquet"]


def _input_share(network: Any, splits: Any, recipe: Any, steps: int) -> float:
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
    parser.add_argument("--out", required=True, type=Path, help="folder of a finished run")
    parser.add_argument("--times", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument(
        "--input", nargs="+", choices=["memory", "disk"], default=["memory", "disk"]
    )
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--folder", type=Path, default=Path("out/benchmarks/training_memory"))
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)

    table = Table(title="Training by size of the log")
    for head in ("input", "examples", *(f"{p}: own MB / resident" for p in PHASES)):
        table.add_column(head, justify="right", overflow="fold")
    for head in (*(f"{p}: CPU us an example" for p in PHASES[:2]), "input of a step"):
        table.add_column(head, justify="right", overflow="fold")
    samples = []
    for where in options.input:
        for times in options.times:
            arguments = {
                "out": str(options.out.absolute()),
                "times": times,
                "where": where,
                "folder": str(options.folder.absolute()),
                "steps": options.steps,
            }
            sample = in_child("benchmarks.training_memory:train_on", arguments)
            samples.append(sample)
            figures = sample.result
            sizes = [
                f"{figures[p]['own_mb']:,.0f} / {figures[p]['resident_mb']:,.0f}" for p in PHASES
            ]
            rates = [f"{figures[p]['cpu'] / figures['examples'] * 1e6:.1f}" for p in PHASES[:2]]
            share = f"{figures['input_share']:.1%}"
            table.add_row(where, f"{figures['examples']:,}", *sizes, *rates, share)
    Console(highlight=False).print(table)
    write(options.json, {"machine": machine(), "samples": as_json(samples)})


if __name__ == "__main__":
    main()
