"""What TFX's Trainer runs: load, train, export, and a record of it."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import tensorflow as tf
from pydantic import PositiveInt

from common.files.gfile import write_json
from common.pages.text import counted
from common.runs.files import TrainingFile
from components.trainer.calibrate.calibrator import Fitted, check_calibration, fit_calibrators
from components.trainer.calibrate.reference import Reference, fit_reference
from components.trainer.data.columns import Columns, known
from components.trainer.data.load import choose_storage, last_days, load_columns
from components.trainer.export.export import (
    FULL_DIRECTORY,
    REFERENCE_DIRECTORY,
    export_full,
    export_reference,
    export_serving,
)
from components.trainer.loop.checkpoints import CheckpointRoot, checkpoint_root, remove
from components.trainer.loop.loop import Splits, Surroundings, TrainResult, train
from components.trainer.network.network import TwoTowerDCN
from components.trainer.settings import (
    FitName,
    LossSettings,
    ModelSettings,
    Recipe,
    TrainingSettings,
)
from components.trainer.step.distribution import choose
from components.trainer.warm.start_weights import write_start
from components.trainer.warm.warm_start import Start, choose_start
from components.transform.graph import TransformGraph
from components.transform.layout import FeatureLayout
from schemas.base import Frozen
from schemas.contract import Contract, parse_contract
from schemas.labelled import CALIBRATION, HARD, SOFT, TRAIN

if TYPE_CHECKING:
    from tfx.components.trainer.fn_args_utils import FnArgs


LOG_EVERY = 1_000_000
"""Examples between two lines while a split is read."""

SERVED: FitName = "served"

_log = logging.getLogger("hardtower")


class TrainerConfig(Frozen):
    """What TFX hands through to `run_fn` as `custom_config`."""

    contract: str
    """The data set contract as JSON text."""
    model: ModelSettings
    loss: LossSettings
    training: TrainingSettings
    fit: FitName | None = None
    """Whose knowledge of labels to train on; none takes the contract's labels as final."""
    checkpoints: str = ""
    """Folder for the checkpoints of all trainings."""
    code: str = ""
    """The sources' fingerprint."""
    eval_days: int = 0
    """Length of the eval period."""
    calibration_days: PositiveInt = 1
    """Of the served fit, which is judged on nothing: its level is fitted on the last days of what
    it is trained on, so that it has learned from yesterday."""
    passes: float | None = None
    """Of the served fit: those that the judged fit has kept, where it kept fewer than all."""

    @property
    def recipe(self) -> Recipe:
        return Recipe(self.model, self.loss, self.training)


def run_fn(fn_args: FnArgs) -> None:
    """Trains and exports one network.

    Reads `fn_args.train_files`, and `fn_args.eval_files` as the calibration split, of which the
    served fit takes the last `calibration_days`. Writes the serving graph to
    `fn_args.serving_model_dir`, the full graph beside it, and to `fn_args.model_run_dir`
    TensorBoard events, `history.json` and `training.json`: `settings`
    (`model`, `loss`, `training`), `seed`, `examples` (by split and task: `examples`, `positives`,
    `base_rate`; under `trained_on`, what the mode and the sampling leave of `train`), `calibration`
    (`Fitted.record`, none without), `wide` (`WideFit.record`, none without), `reference` (`penalty`
    and `calibration` of the logistic regression, none of a served fit), `parameters` (`shared`,
    each tower, `serving`, `full`), `kept_step`, `kept_passes`, `stopped_by`, `resumed_from` (the
    step of the checkpoint that training went on from, none when it began at the beginning),
    `checkpoints` (`written`, `failed`, `seconds`), `warm_start` (`Start.record`) and `seconds` (by
    phase).

    A `serving_model_dir` also gets what a later warm start needs, see `start_weights`. Once both
    graphs are there the training's checkpoints are removed.

    Of several workers (`TF_CONFIG`) the chief writes all this, and the others return after it has.

    Args:
      fn_args: `custom_config` holds what `TrainerConfig` says; `base_model`, if any, is the last
        blessed model.

    Raises:
      InputError: the examples cannot be read or trained on.
      WorkerLostError: another worker is gone.
    """
    config = TrainerConfig.model_validate(fn_args.custom_config)
    contract, training = parse_contract(config.contract), config.training
    distribution, run_dir = choose(training.devices), fn_args.model_run_dir
    tf.io.gfile.makedirs(run_dir)
    offered = CheckpointRoot(config.checkpoints, config.code)
    root = checkpoint_root(offered, training, sweeping=distribution.chief)
    start = _choose_start(fn_args, config, contract)
    phases = Phases()

    columns = _load(fn_args, config, contract, phases)
    check_calibration(columns[CALIBRATION], config.model, training.calibration)
    splits = Splits(
        columns[TRAIN],
        columns[CALIBRATION],
        FeatureLayout.from_contract(contract),
        held_out=config.fit != SERVED,
    )
    around = Surroundings(run_dir, _stepping(training), root, start.initialize, distribution)
    with phases.time("train"):
        result = train(splits, config.recipe, around, config.passes)
    _log.info("Trainer: kept step %d; ended by %s", result.kept_step, result.stopped_by)
    if not distribution.chief:
        _log.info("Trainer: waiting for the chief to export")
        distribution.wait()
        return

    fitted = _fit_calibrators(result.network, splits, training, phases)
    reference = _fit_reference(splits, config, phases)
    with phases.time("export"):
        _export(result.network, fitted, reference, contract, fn_args)
    write_json(result.history, os.path.join(run_dir, TrainingFile.HISTORY))
    record = _record(config, columns, result, fitted, reference)
    record |= {"warm_start": start.record(), "seconds": phases.seconds}
    write_json(record, os.path.join(run_dir, TrainingFile.RECORD))
    if result.checkpoints is not None:
        remove(result.checkpoints)
    distribution.wait()
    _log.info("Trainer: %s", phases)


def _choose_start(fn_args: FnArgs, config: TrainerConfig, contract: Contract) -> Start:
    return choose_start(
        fn_args.base_model,
        contract,
        config.model,
        config.training,
        fn_args.transform_graph_path,
        config.eval_days,
        served=config.fit == SERVED,
    )


def _load(
    fn_args: FnArgs, config: TrainerConfig, contract: Contract, phases: Phases
) -> dict[str, Columns]:
    """The train split and the calibration split, as far as the fit may know them."""
    training, since = config.training, None
    if config.fit == SERVED:
        since = last_days(fn_args.eval_files, contract, config.calibration_days)
    splits = {TRAIN: fn_args.train_files, CALIBRATION: fn_args.eval_files}
    storage = choose_storage(training, list(splits.values()), contract)
    columns: dict[str, Columns] = {}
    for split, files in splits.items():
        with phases.time(f"load {split}"):
            read = load_columns(
                files,
                fn_args.transform_graph_path,
                contract,
                fit=config.fit,
                since=since if split == CALIBRATION else None,
                in_turn=True,
                progress=_reading(split),
                storage=storage,
            )
            columns[split] = known(read, training.labels, training.min_completeness)
        _log.info("Trainer: %s: %s", split, _in_words(_examples(columns[split])))
    return columns


def _fit_calibrators(
    network: TwoTowerDCN, splits: Splits, training: TrainingSettings, phases: Phases
) -> dict[str, Fitted]:
    """By tower."""
    with phases.time("calibrate"):
        fitted = fit_calibrators(
            network, splits.calibration, training.calibration, training.evaluation_batch_size
        )
    for tower, of_tower in fitted.items():
        method, examples = of_tower.calibrator.method, of_tower.record["examples"]
        told = counted(examples, "example")
        _log.info("Trainer: %s calibrated by %s on %s", tower, method, told)
    return fitted


def _fit_reference(splits: Splits, config: TrainerConfig, phases: Phases) -> Reference | None:
    """None of a served fit, which nothing is compared with."""
    if config.fit == SERVED:
        return None
    with phases.time("reference"):
        return fit_reference(splits, config.recipe)


def _export(
    network: TwoTowerDCN,
    fitted: Mapping[str, Fitted],
    reference: Reference | None,
    contract: Contract,
    fn_args: FnArgs,
) -> None:
    """Writes the serving graph and, in folders beside it, the full graph and the reference."""
    transform, serving_dir = TransformGraph(fn_args.transform_graph_path), fn_args.serving_model_dir
    calibrators = {tower: of_tower.calibrator for tower, of_tower in fitted.items()}
    model_dir = os.path.dirname(serving_dir)
    export_serving(network, transform, contract, serving_dir, calibrators)
    write_start(network, contract, serving_dir)
    full_dir = os.path.join(model_dir, FULL_DIRECTORY)
    export_full(network, transform, contract, full_dir, calibrators)
    if reference is not None:
        reference_dir = os.path.join(model_dir, REFERENCE_DIRECTORY)
        tower, calibrator = reference.tower, reference.calibrator
        export_reference(tower, transform, contract, reference_dir, calibrator)


def _record(
    config: TrainerConfig,
    columns: Mapping[str, Columns],
    result: TrainResult,
    fitted: Mapping[str, Fitted],
    reference: Reference | None,
) -> dict[str, Any]:
    """What `training.json` says of settings, data and network."""
    served = fitted.get(result.network.serving_tower)
    return {
        "settings": config.model_dump(mode="json", include={"model", "loss", "training"}),
        "seed": config.training.seed,
        "examples": {
            **{split: _examples(read) for split, read in columns.items()},
            "trained_on": _examples(result.trained_on),
        },
        "calibration": served.record if served else None,
        "wide": result.wide,
        "reference": None if reference is None else reference.record,
        "parameters": _parameters(result),
        "kept_step": result.kept_step,
        "kept_passes": result.kept_passes,
        "stopped_by": result.stopped_by,
        "resumed_from": result.resumed_from,
        "checkpoints": asdict(result.spent),
    }


def _examples(columns: Columns) -> dict[str, dict[str, float | int | None]]:
    counts: dict[str, dict[str, float | int | None]] = {}
    for task in (HARD, SOFT):
        examples = positives = 0
        for _, block in columns.blocks():
            mine = block.hard if task == HARD else ~block.hard
            examples += int(mine.sum())
            positives += int(block.label[mine].sum())
        counts[task] = {
            "examples": examples,
            "positives": positives,
            "base_rate": positives / examples if examples else None,
        }
    return counts


def _in_words(examples: Mapping[str, Mapping[str, float | int | None]]) -> str:
    return ", ".join(
        f"{counted(counts['examples'], f'{task} example')} "
        f"({counted(counts['positives'], 'conversion')})"
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


def _stepping(training: TrainingSettings) -> Callable[[Mapping[str, float | int | None]], None]:
    """Logs each look at the calibration split."""

    def progress(row: Mapping[str, float | int | None]) -> None:
        step, epoch = row["step"] or 0, row["epoch"] or 0
        _log.info(
            "Trainer: epoch %d/%d, step %d/%d, loss %.5f, hard log loss %.5f",
            math.ceil(epoch),
            training.epochs,
            step,
            round(step / epoch * training.epochs),
            row["train_loss"],
            row["calibration_log_loss_hard"],
        )

    return progress


class Phases:
    """Times named phases.

    Attributes:
      seconds: wall time of each finished phase, in the order of their ends.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        """Times the body of a `with` statement."""
        started = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - started

    def __str__(self) -> str:
        return ", ".join(f"{name} {seconds:.1f} s" for name, seconds in self.seconds.items())
