"""The training loop."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from components.trainer.batches import Batch, batches_per_epoch, shuffled_batches
from components.trainer.checks import check_columns
from components.trainer.columns import Columns
from components.trainer.monitor import (
    Calibration,
    Interval,
    Progress,
    Row,
    scalar_writer,
    write_scalars,
)
from components.trainer.network import TwoTowerDCN
from components.trainer.settings import LossSettings, ModelSettings, TrainingSettings
from components.trainer.step import TrainStep
from components.trainer.stopping import EarlyStopping
from components.transform.layout import FeatureLayout
from schemas.errors import InputError
from schemas.labelled import HARD, SOFT


@dataclass(frozen=True)
class TrainResult:
    """A trained network and how it came about.

    Attributes:
      network: with the weights of `best_step`.
      history: one row a look at the calibration split, oldest first; see `train`.
      best_step: the step with the lowest log loss on hard calibration examples.
      stopped_by: `patience` when early stopping ended training, `epochs` when its length did.
    """

    network: TwoTowerDCN
    history: list[Row]
    best_step: int
    stopped_by: Literal["epochs", "patience"]


def train(
    columns: Columns,
    calibration: Columns,
    layout: FeatureLayout,
    model: ModelSettings,
    loss: LossSettings,
    training: TrainingSettings,
    log_dir: Path | None = None,
    progress: Progress | None = None,
) -> TrainResult:
    """Trains a network on `columns`; `calibration` decides when to stop and what to keep.

    Every mode is judged by its log loss on the **hard** calibration examples, `one_task` too: hard
    conversions are what is served and what the modes are compared on. `hard_only` trains on the
    hard examples of `columns` alone.

    A row of the history holds `step`, `epoch` (passes over the examples, a fraction within one),
    `train_loss` (mean over the steps since the last row, before their updates),
    `train_loss_hard`, `train_loss_soft` (mean log loss over those steps' examples of the task),
    `calibration_log_loss_hard`, `..._soft`, `calibration_auc_hard`, `..._soft` and
    `examples_per_second` (training alone). Losses are in nats. A value is none where there is
    nothing to take it over.

    Args:
      columns: the training split.
      calibration: a later period.
      layout: what both splits' arrays hold.
      model, loss, training: settings.
      log_dir: where TensorBoard scalars go; none writes nothing.
      progress: called with each row of the history.

    Raises:
      InputError: a split holds no hard example or a numeric feature that is not finite, or the
        loss stops being finite.
      ValueError: the arrays don't fit the layout.
    """
    check_columns(columns, layout, "train")
    check_columns(calibration, layout, "calibration")
    if model.mode == "hard_only":
        columns = columns.take(columns.hard)

    network = TwoTowerDCN(layout, model, training.seed)
    network.set_base_rates(base_rates(network, columns))
    take_step = TrainStep(network, loss, training)
    looks = Calibration(network, calibration, training.evaluation_batch_size)
    stopping = EarlyStopping(training.patience)
    per_epoch = batches_per_epoch(len(columns), training.batch_size)
    last_step = per_epoch * training.epochs
    look_every = max(1, round(per_epoch * training.evaluate_every))
    history: list[Row] = []
    best: list[np.ndarray] = []
    writer = scalar_writer(log_dir)
    interval = Interval()
    for step, batch in enumerate(_all_batches(columns, training), start=1):
        losses = take_step(batch)
        _check_finite(float(losses.total), step, training)
        interval.add(losses, len(batch.label))
        if step % look_every and step != last_step:
            continue
        look = looks.look()
        _check_finite(look.hard_log_loss, step, training)
        row: Row = {"step": step, "epoch": step / per_epoch, **interval.summary(), **look.row}
        history.append(row)
        write_scalars(writer, row)
        if progress is not None:
            progress(row)
        if stopping.update(step, look.hard_log_loss):
            best = [v.numpy() for v in network.variables]
        if stopping.exhausted:
            break
        interval = Interval()
    writer.close()
    for variable, value in zip(network.variables, best, strict=True):
        variable.assign(value)
    return TrainResult(
        network, history, stopping.best_step, "patience" if stopping.exhausted else "epochs"
    )


def _all_batches(columns: Columns, training: TrainingSettings) -> Iterator[Batch]:
    for epoch in range(training.epochs):
        yield from shuffled_batches(columns, training.batch_size, seed=training.seed, epoch=epoch)


def base_rates(network: TwoTowerDCN, columns: Columns) -> dict[str, float]:
    """Conversion rate of the examples that each tower learns from.

    A tower that would start at 0 or 1, where log-odds are infinite, gets half a conversion more
    in one example more.
    """
    rates = {}
    for name in network.towers:
        tasks = [task for task in (HARD, SOFT) if network.tower_of(task) == name]
        mine = np.isin(columns.hard, [task == HARD for task in tasks])
        examples, conversions = int(mine.sum()), float(columns.label[mine].sum())
        if not 0 < conversions < examples:
            examples, conversions = examples + 1, conversions + 0.5
        rates[name] = conversions / examples
    return rates


def _check_finite(loss: float, step: int, training: TrainingSettings) -> None:
    if not math.isfinite(loss):
        raise InputError(
            f"training.learning_rate {training.learning_rate}: the loss is {loss} at step {step}; "
            "wanted a finite loss (lower the learning rate, or look for extreme numeric features)"
        )
