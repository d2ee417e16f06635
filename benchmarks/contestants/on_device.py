"""The phases of `benchmarks.gpu`, each for a process of its own."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import tensorflow as tf

from benchmarks.contestants import training_task as race
from benchmarks.contestants.train_hardtower import BigTable, Training
from benchmarks.contestants.training_network import model
from benchmarks.logs import simulated
from benchmarks.serving_graph import BATCHES, eval_examples, newest, saved_model
from benchmarks.serving_graph import race as race_calls
from components.trainer.calibrate.calibrator import fit_calibrators
from components.trainer.data.columns import Columns, known
from components.trainer.data.load import load_columns
from components.trainer.export.export import export_serving
from components.trainer.loop.loop import Splits, Surroundings, train
from components.trainer.settings import LossSettings, Recipe, TrainingSettings
from components.trainer.step.distribution import Devices, choose
from components.transform.graph import TransformGraph
from components.transform.layout import FeatureLayout
from pipeline.config import load_config
from pipeline.studies.worlds import labelled
from schemas.labelled import CALIBRATION, TRAIN

SAMPLING_MS = 200

METRICS = (
    "calibration_log_loss_hard",
    "calibration_log_loss_soft",
    "calibration_auc_hard",
    "calibration_auc_soft",
)


def devices() -> dict[str, Any]:
    """TensorFlow's version, and the GPUs that it finds."""
    gpus = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    return {"tensorflow": tf.__version__, "gpus": [d.get("device_name", "?") for d in details]}


def log(folder: str, clicks: int, overrides: Sequence[str]) -> dict[str, Any]:
    """Simulates a log, labels it and makes its features, in `folder`/out."""
    root = simulated(Path(folder), clicks)
    config = load_config("simulator", [*overrides, f"input.root={str(root)!r}"])
    labelled(config, Path(folder, "out"), "benchmarks.gpu")
    return {"clicks": clicks}


def trainer(
    folder: str, device: Devices, precision: str, epochs: int, export: bool
) -> dict[str, Any]:
    """Trains as a run's Trainer does, wide part and looks included.

    Args:
      export: write the serving graph to `folder`/model.
    """
    distribution = _on(device)
    out, contract = Path(folder, "out"), load_config("simulator").data_contract
    graph = str(newest(out, "Transform", "transform_graph"))
    training = TrainingSettings.model_validate(
        {
            "batch_size": race.BATCH,
            "epochs": epochs,
            "precision": precision,
            "evaluate_every": 0.5,
            "gradient_examples": 0,
        }
    )

    def columns(split: str) -> Columns:
        files = newest(out, "TaskLabeler", "labelled_columns") / f"Split-{split}" / "*.parquet"
        read = load_columns([str(files)], graph, contract, fit="judged")
        return known(read, training.labels, training.min_completeness)

    layout = FeatureLayout.from_contract(contract)
    splits = Splits(columns(TRAIN), columns(CALIBRATION), layout)
    with _Busy(device) as busy:
        began = time.perf_counter()
        result = train(
            splits,
            Recipe(model(), LossSettings(), training),
            Surroundings(distribution=distribution),
        )
        seconds = time.perf_counter() - began
    if export:
        fitted = fit_calibrators(
            result.network, splits.calibration, training.calibration, race.BATCH
        )
        calibrators = {name: one.calibrator for name, one in fitted.items()}
        transform = TransformGraph(graph)
        export_serving(result.network, transform, contract, _model(folder), calibrators)
    last = result.history[-1]
    rate = last["examples_per_second"]
    return {
        "seconds": seconds,
        "steps": result.kept_step,
        "steps_per_second": None if rate is None else rate / race.BATCH,
        "metrics": {name: last[name] for name in METRICS if last[name] is not None},
        **busy.figures(),
    }


def steps(device: Devices, precision: str, steps: int, blocks: int) -> dict[str, Any]:
    """Steps of the training race; the first block, which traces, is not counted."""
    _on(device)
    contestant = Training(steps, precision)
    contestant.block()
    with _Busy(device) as busy:
        found = [contestant.block() for _ in range(blocks)]
    wall = sum(block["wall"] for block in found)
    return {
        "steps_per_second": steps * blocks / wall,
        "examples_per_second": sum(block["examples"] for block in found) / wall,
        "waiting_for_input": sum(block["input"] for block in found) / wall,
        "loss": found[-1]["loss"],
        **busy.figures(),
    }


def big_table(device: Devices, rows: int, steps: int) -> dict[str, Any]:
    """Steps with one embedding table of many rows, in lazy Adam."""
    _on(device)
    contestant = BigTable(rows, lazy_adam=True, steps=steps)
    contestant.block()
    with _Busy(device) as busy:
        began = time.perf_counter()
        contestant.block()
        seconds = time.perf_counter() - began
    return {"rows": rows, "steps_per_second": steps / seconds, **busy.figures()}


def scoring(folder: str, device: Devices, calls: int) -> dict[str, Any]:
    """The exported graph, transform inside, on serialized tf.Examples.

    Returns:
      `median_ms` by batch size, `probabilities` of the largest batch.
    """
    _on(device)
    call = saved_model(Path(_model(folder)), eval_examples(Path(folder, "out")))
    with _Busy(device) as busy:
        times = race_calls({device: call}, calls)[device]
    answers: Any = call(max(BATCHES))
    return {
        "median_ms": {size: sorted(of_size)[len(of_size) // 2] for size, of_size in times.items()},
        "probabilities": [float(p) for p in answers[0]],
        **busy.figures(),
    }


def _model(folder: str) -> str:
    return str(Path(folder, "model"))


def _on(device: Devices) -> Any:
    """The Trainer's own choice, which must be the device asked for."""
    if device == "gpu" and not tf.config.list_physical_devices("GPU"):
        raise RuntimeError("TensorFlow finds no GPU")
    return choose(device)


class _Busy:
    """Asks nvidia-smi, while a block runs, how busy the GPU is; used in a `with` statement."""

    def __init__(self, device: Devices) -> None:
        self._command = shutil.which("nvidia-smi") if device == "gpu" else None
        self._device = device
        self._process: subprocess.Popen[str] | None = None
        self._lines: list[str] = []

    def __enter__(self) -> _Busy:
        if self._command is not None:
            wanted = "--query-gpu=utilization.gpu,memory.used,power.draw"
            form = "--format=csv,noheader,nounits"
            command = [self._command, "--id=0", wanted, form, f"--loop-ms={SAMPLING_MS}"]
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._lines = self._process.communicate()[0].splitlines()

    def figures(self) -> dict[str, Any]:
        """`busy` (share of the time in which a kernel ran), `device_gb` in use at most, `watts`,
        over `samples`; and `tensorflow_gb`, TensorFlow's own peak. Empty without a GPU."""
        if self._device != "gpu":
            return {}
        peak = tf.config.experimental.get_memory_info("GPU:0")["peak"] / 1e9
        return {"tensorflow_gb": peak, **sampled(self._lines)}


def sampled(lines: Sequence[str]) -> dict[str, Any]:
    """Figures of nvidia-smi's lines `utilization %, memory MiB, power W`; what it does not know
    (`[N/A]`) is left out.

    >>> sampled(["50, 1024, 100.0", "100, 2048, [N/A]"])
    {'samples': 2, 'busy': 0.75, 'device_gb': 2.147483648, 'watts': 100.0}
    """
    columns: list[list[float]] = [[], [], []]
    for line in lines:
        for column, text in zip(columns, line.split(","), strict=False):
            try:
                column.append(float(text))
            except ValueError:
                continue
    busy, memory, power = columns
    found: dict[str, Any] = {"samples": len(lines)}
    if busy:
        found["busy"] = fmean(busy) / 100
    if memory:
        found["device_gb"] = max(memory) * 2**20 / 1e9
    if power:
        found["watts"] = fmean(power)
    return found
