"""What TFX's Trainer runs: load, train, export, and a record of it."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import tensorflow as tf

from components.common.files import write_json
from components.trainer.batches import batches_per_epoch
from components.trainer.columns import Columns
from components.trainer.export import FULL_DIRECTORY, export_full, export_serving
from components.trainer.load import load_columns
from components.trainer.loop import TrainResult, train
from components.trainer.phases import Phases
from components.trainer.settings import LossSettings, ModelSettings, TrainingSettings
from components.transform.graph import TransformGraph
from components.transform.layout import FeatureLayout
from schemas.contract import parse_contract
from schemas.labelled import HARD, SOFT

if TYPE_CHECKING:
    from tfx.components.trainer.fn_args_utils import FnArgs

HISTORY_FILE = "history.json"
"""In the ModelRun artifact: the rows of `components.trainer.loop.train`'s history."""

TRAINING_FILE = "training.json"
"""In the ModelRun artifact: settings, examples, parameters and seconds; see `run_fn`."""

LOG_EVERY = 1_000_000
"""Examples between two lines while a split is read."""

_log = logging.getLogger("hardtower")


def run_fn(fn_args: FnArgs) -> None:
    """Trains and exports one network.

    Reads `fn_args.train_files`, and `fn_args.eval_files` as the calibration split. Writes the
    serving graph to `fn_args.serving_model_dir`, the full graph beside it, and to
    `fn_args.model_run_dir` TensorBoard events, `history.json` and `training.json`: `settings`
    (`model`, `loss`, `training`), `seed`, `examples` (by split and task: `examples`, `positives`,
    `base_rate`), `parameters` (`shared`, each tower, `serving`, `full`), `best_step`, `stopped_by`
    and `seconds` (by phase).

    Args:
      fn_args: of its `custom_config`, `contract` is the data set contract as JSON text, and
        `model`, `loss` and `training` are objects of `components.trainer.settings`.

    Raises:
      InputError: the examples cannot be read or trained on.
    """
    config = fn_args.custom_config
    contract = parse_contract(config["contract"])
    model = ModelSettings.model_validate(config["model"])
    loss = LossSettings.model_validate(config["loss"])
    training = TrainingSettings.model_validate(config["training"])
    graph_dir, run_dir = fn_args.transform_graph_path, fn_args.model_run_dir
    tf.io.gfile.makedirs(run_dir)
    phases = Phases()

    splits: dict[str, Columns] = {}
    for split, files in (("train", fn_args.train_files), ("calibration", fn_args.eval_files)):
        with phases.time(f"load {split}"):
            splits[split] = load_columns(files, graph_dir, contract, progress=_reading(split))
        _log.info("Trainer: %s: %s", split, _in_words(_examples(splits[split])))

    with phases.time("train"):
        result = train(
            splits["train"],
            splits["calibration"],
            FeatureLayout.from_contract(contract),
            model,
            loss,
            training,
            log_dir=Path(run_dir),
            progress=_stepping(splits["train"], model, training),
        )
    _log.info("Trainer: kept step %d; ended by %s", result.best_step, result.stopped_by)

    with phases.time("export"):
        transform = TransformGraph(graph_dir)
        full_dir = os.path.join(os.path.dirname(fn_args.serving_model_dir), FULL_DIRECTORY)
        export_serving(result.network, transform, contract, fn_args.serving_model_dir)
        export_full(result.network, transform, contract, full_dir)

    write_json(result.history, os.path.join(run_dir, HISTORY_FILE))
    record = {
        "settings": {
            "model": model.model_dump(mode="json"),
            "loss": loss.model_dump(mode="json"),
            "training": training.model_dump(mode="json"),
        },
        "seed": training.seed,
        "examples": {split: _examples(columns) for split, columns in splits.items()},
        "parameters": _parameters(result),
        "best_step": result.best_step,
        "stopped_by": result.stopped_by,
        "seconds": phases.seconds,
    }
    write_json(record, os.path.join(run_dir, TRAINING_FILE))
    _log.info(
        "Trainer: %s",
        ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in phases.seconds.items()),
    )


def _examples(columns: Columns) -> dict[str, dict[str, float | int | None]]:
    found: dict[str, dict[str, float | int | None]] = {}
    for task, mine in ((HARD, columns.hard), (SOFT, ~columns.hard)):
        examples, positives = int(mine.sum()), int(columns.label[mine].sum())
        found[task] = {
            "examples": examples,
            "positives": positives,
            "base_rate": positives / examples if examples else None,
        }
    return found


def _in_words(examples: Mapping[str, Mapping[str, float | int | None]]) -> str:
    return ", ".join(
        f"{counts['examples']:,} {task} examples ({counts['positives']:,} conversions)"
        for task, counts in examples.items()
    )


def _parameters(result: TrainResult) -> dict[str, int]:
    network = result.network
    towers = {name: _size(network.tower_variables(name)) for name in network.towers}
    shared = _size(network.shared_variables)
    return {
        "shared": shared,
        **towers,
        "serving": shared + towers[network.serving_tower],
        "full": shared + sum(towers.values()),
    }


def _size(variables: tuple[tf.Variable, ...]) -> int:
    return sum(math.prod(variable.shape) for variable in variables)


def _reading(split: str) -> Callable[[int], None]:
    """Logs each time that another `LOG_EVERY` examples are read."""
    logged = 0

    def progress(read: int) -> None:
        nonlocal logged
        if read // LOG_EVERY > logged:
            logged = read // LOG_EVERY
            _log.info("Trainer: %s: %s examples read", split, f"{read:,}")

    return progress


def _stepping(
    columns: Columns, model: ModelSettings, training: TrainingSettings
) -> Callable[[Mapping[str, float | int | None]], None]:
    """Logs each look at the calibration split."""
    examples = int(columns.hard.sum()) if model.mode == "hard_only" else len(columns)
    steps = batches_per_epoch(examples, training.batch_size) * training.epochs

    def progress(row: Mapping[str, float | int | None]) -> None:
        _log.info(
            "Trainer: epoch %d/%d, step %d/%d, loss %.5f, hard log loss %.5f",
            math.ceil(row["epoch"] or 0),
            training.epochs,
            row["step"],
            steps,
            row["train_loss"],
            row["calibration_log_loss_hard"],
        )

    return progress
