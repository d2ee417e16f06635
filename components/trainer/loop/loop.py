"""The training loop."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from components.trainer.data.batches import Feed, of_the_mode
from components.trainer.data.columns import Columns, check_columns, task_numbers
from components.trainer.loop.checkpoints import (
    CheckpointRoot,
    Checkpoints,
    Spent,
    keeps_checkpoints,
)
from components.trainer.loop.conflict import GradientConflict
from components.trainer.loop.divergence import Place, batch_in_words, diverged
from components.trainer.loop.identity import training_identity
from components.trainer.loop.monitor import (
    HeldOut,
    Interval,
    Progress,
    Row,
    scalar_writer,
    write_scalars,
)
from components.trainer.loop.state import BestWeights, TrainingState
from components.trainer.network.network import TwoTowerDCN
from components.trainer.settings import LossSettings, ModelSettings, TrainingSettings
from components.trainer.step.distribution import ONE_REPLICA, Distribution
from components.trainer.step.step import TrainStep
from components.transform.layout import FeatureLayout
from schemas.errors import InputError
from schemas.labelled import CALIBRATION, TRAIN

_log = logging.getLogger("hardtower")


@dataclass(frozen=True)
class TrainResult:
    """A trained network and how it came about.

    Attributes:
      network: with the weights of `best_step`.
      trained_on: the examples of the training split that batches were made of.
      history: one row a look at the calibration split, oldest first; see `train`.
      best_step: the step with the lowest log loss on hard calibration examples.
      stopped_by: `patience` when early stopping ended training, `epochs` when its length did.
      resumed_from: step of the checkpoint that training went on from, if there was one.
      checkpoints: the folder of this training's checkpoints, which nobody needs any more once the
        network is exported; none where none are kept.
      spent: what they cost.
    """

    network: TwoTowerDCN
    trained_on: Columns
    history: list[Row]
    best_step: int
    stopped_by: Literal["epochs", "patience"]
    resumed_from: int | None = None
    checkpoints: str | None = None
    spent: Spent = field(default_factory=Spent)


def train(
    columns: Columns,
    calibration: Columns,
    layout: FeatureLayout,
    model: ModelSettings,
    loss: LossSettings,
    training: TrainingSettings,
    log_dir: str | None = None,
    progress: Progress | None = None,
    root: CheckpointRoot | None = None,
    initialize: Callable[[TwoTowerDCN], None] | None = None,
    distribution: Distribution = ONE_REPLICA,
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
    nothing to take it over. Where there are examples of both tasks, each shared layer has a
    `gradient_cosine/<layer>` and a `gradient_norm_ratio/<layer>`, see `GradientConflict`.

    Args:
      columns: the training split.
      calibration: a later period.
      layout: what both splits' arrays hold.
      model, loss, training: settings.
      log_dir: where TensorBoard scalars go; none writes nothing.
      progress: called with each row of the history.
      root: where checkpoints go. A training that was killed is gone on with when the same one is
        started again, and ends as it would have ended. None keeps none.
      initialize: sets the initial weights; none leaves those of the seed, with the tasks' base
        rates as the logits' biases.
      distribution: replicas that share each batch. Of several workers each trains, looks and
        ends with the same network, and the chief alone writes.

    Raises:
      InputError: a split holds no hard example or a numeric feature that is not finite, or the
        loss stops being finite.
      ValueError: the arrays don't fit the layout.
    """
    check_columns(columns, layout, TRAIN)
    check_columns(calibration, layout, CALIBRATION)
    with distribution.scope():
        network = TwoTowerDCN(layout, model, training.seed)
        step_of_one = TrainStep(network, loss, training)
    if initialize is None:
        network.set_base_rates(base_rates(network, of_the_mode(columns, model)))
    else:
        initialize(network)
    feed = Feed(columns, model, training)
    take_step, observed = distribution.spread(step_of_one), distribution.observe(network)
    looks = HeldOut(observed.network, calibration, training.evaluation_batch_size)
    conflict = GradientConflict(observed.network, feed.examples, loss, training)
    state, best = TrainingState(training.patience), BestWeights(observed.network.variables)
    checkpoints = None
    if root is not None and keeps_checkpoints(training):
        parts = {
            "network": network,
            "optimizer": step_of_one.optimizer,
            "state": state,
            "best": best,
        }
        splits = (columns, calibration)
        name = training_identity(splits, network.variables, model, loss, training, root.code)
        checkpoints = Checkpoints(os.path.join(root.folder, name), parts, training)
    resumed_from = _resume(checkpoints, state, distribution)

    per_epoch = feed.per_epoch
    last_step = per_epoch * training.epochs
    look_every = max(1, round(per_epoch * training.evaluate_every))

    def check_finite(value: float, step: int, *, of_batch: bool) -> None:
        if math.isfinite(value):
            return
        seen = "calibration split"
        if of_batch:
            seen = batch_in_words(columns, feed.rows(step), layout.numeric)
        saved = checkpoints.latest if checkpoints else None
        raise diverged(value, Place.of(step, per_epoch), training, saved, seen)

    writer = scalar_writer(log_dir if distribution.chief else None)
    for row in state.history:
        write_scalars(writer, row)
    for step, batch in enumerate(feed.after(state.step), start=state.step + 1):
        losses = take_step(batch)
        check_finite(float(losses.total), step, of_batch=True)
        state.step = step
        state.interval.add(losses, len(batch.label))
        if step % look_every == 0 or step == last_step:
            trained = state.interval.summary()
            observed.refresh()
            look = looks.look()
            hard_log_loss = distribution.agreed(look.hard_log_loss)
            check_finite(hard_log_loss, step, of_batch=False)
            place: Row = {"step": step, "epoch": step / per_epoch}
            row = {**place, **trained, **look.row, **conflict.look()}
            state.history.append(row)
            write_scalars(writer, row)
            if progress is not None and distribution.chief:
                progress(row)
            if state.stopping.update(step, hard_log_loss):
                best.keep()
            if state.stopping.exhausted:
                break
            state.interval = Interval()
        if checkpoints is not None and distribution.chief and checkpoints.due(step):
            state.interval.leave_out(checkpoints.save(step, network.variables))
    writer.close()
    best.put_back()
    return TrainResult(
        observed.network,
        feed.examples,
        state.history,
        state.stopping.best_step,
        "patience" if state.stopping.exhausted else "epochs",
        resumed_from,
        checkpoints.folder if checkpoints else None,
        checkpoints.spent if checkpoints else Spent(),
    )


def _resume(
    checkpoints: Checkpoints | None, state: TrainingState, distribution: Distribution
) -> int | None:
    path = checkpoints.restore() if checkpoints is not None else None
    of_chief = distribution.agreed(state.step)
    if state.step != of_chief:
        raise InputError(
            f"training.checkpoint_dir: this worker goes on at step {state.step}; wanted step "
            f"{of_chief:.0f} as the chief (all workers must see the same folder)"
        )
    if path is None:
        return None
    _log.info("Trainer: going on at step %d from %s", state.step, path)
    return state.step


def base_rates(network: TwoTowerDCN, columns: Columns) -> dict[str, float]:
    """Conversion rate of the examples that each tower learns from, by their weights if any.

    A tower that would start at 0 or 1, where log-odds are infinite, gets half a conversion more
    in one example more.
    """
    settings, rates = network.settings, {}
    number = task_numbers(columns, settings.tier_boundaries)
    for name in network.towers:
        tasks = [i for i, task in enumerate(settings.tasks) if network.tower_of(task) == name]
        mine = np.isin(number, tasks)
        label = columns.label[mine]
        weight = np.ones_like(label) if columns.weight is None else columns.weight[mine]
        examples = float(weight.sum(dtype=np.float64))
        conversions = float((weight * label).sum(dtype=np.float64))
        if not 0 < conversions < examples:
            examples, conversions = examples + 1, conversions + 0.5
        rates[name] = conversions / examples
    return rates
