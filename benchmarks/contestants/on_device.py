"""The phases of `benchmarks.gpu`, each for a process of its own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from benchmarks.busy import Busy
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
    with Busy(device == "gpu") as busy:
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
        **_used(device),
        **busy.figures(),
    }


def steps(device: Devices, precision: str, steps: int, blocks: int) -> dict[str, Any]:
    """Steps of the training race; the first block, which traces, is not counted."""
    _on(device)
    contestant = Training(steps, precision)
    contestant.block()
    with Busy(device == "gpu") as busy:
        measured = [contestant.block() for _ in range(blocks)]
    wall = sum(block["wall"] for block in measured)
    return {
        "steps_per_second": steps * blocks / wall,
        "examples_per_second": sum(block["examples"] for block in measured) / wall,
        "waiting_for_input": sum(block["input"] for block in measured) / wall,
        "loss": measured[-1]["loss"],
        **_used(device),
        **busy.figures(),
    }


def big_table(device: Devices, rows: int, steps: int) -> dict[str, Any]:
    """Steps with one embedding table of many rows, in lazy Adam."""
    _on(device)
    contestant = BigTable(rows, lazy_adam=True, steps=steps)
    contestant.block()
    with Busy(device == "gpu") as busy:
        began = time.perf_counter()
        contestant.block()
        seconds = time.perf_counter() - began
    return {"rows": rows, "steps_per_second": steps / seconds, **_used(device), **busy.figures()}


def scoring(folder: str, device: Devices, calls: int) -> dict[str, Any]:
    """The exported graph, transform inside, on serialized tf.Examples.

    Returns:
      `median_ms` by batch size, `probabilities` of the largest batch.
    """
    _on(device)
    call = saved_model(Path(_model(folder)), eval_examples(Path(folder, "out")))
    with Busy(device == "gpu") as busy:
        times = race_calls({device: call}, calls)[device]
    answers: Any = call(max(BATCHES))
    return {
        "median_ms": {size: sorted(of_size)[len(of_size) // 2] for size, of_size in times.items()},
        "probabilities": [float(p) for p in answers[0]],
        **_used(device),
        **busy.figures(),
    }


def _model(folder: str) -> str:
    return str(Path(folder, "model"))


def _on(device: Devices) -> Any:
    """The Trainer's own choice, which must be the device asked for."""
    if device == "gpu" and not tf.config.list_physical_devices("GPU"):
        raise RuntimeError("TensorFlow finds no GPU")
    return choose(device)


def _used(device: Devices) -> dict[str, float]:
    """`tensorflow_gb`, the most that TensorFlow had on the GPU at once; nothing without one."""
    if device != "gpu":
        return {}
    return {"tensorflow_gb": tf.config.experimental.get_memory_info("GPU:0")["peak"] / 1e9}
