"""The training loop."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

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
    Progress,
    Row,
    StepSums,
    scalar_writer,
    write_scalars,
)
from components.trainer.loop.state import BestWeights, TrainingState
from components.trainer.network.network import TwoTowerDCN
from components.trainer.settings import Recipe
from components.trainer.step.distribution import ONE_REPLICA, Distribution, NetworkView
from components.trainer.step.step import Course, TrainStep, row_pulls
from components.trainer.wide.fit import WideFit, fit_wide
from components.transform.layout import FeatureLayout
from schemas.errors import InputError
from schemas.labelled import CALIBRATION, TRAIN

_log = logging.getLogger("hardtower")


StoppedBy = Literal["epochs", "guard", "passes"]


@dataclass(frozen=True)
class Splits:
    """What a training reads.

    Attributes:
      train: the training split, in the order of time.
      calibration: a later period, or the last days of `train`.
      layout: what both splits' arrays hold.
      held_out: whether `calibration` is not in `train`.
    """

    train: Columns
    calibration: Columns
    layout: FeatureLayout
    held_out: bool = True


@dataclass(frozen=True)
class Surroundings:
    """Where a training runs and whom it tells.

    Attributes:
      log_dir: where TensorBoard scalars go; none writes nothing.
      progress: called with each row of the history.
      root: where checkpoints go. A training that was killed is gone on with when the same one is
        started again, and ends as it would have ended. None keeps none.
      initialize: sets the initial weights of the layers and tables; none leaves those of the seed.
      distribution: replicas that share each batch. Of several workers each trains, looks and
        ends with the same network, and the chief alone writes.
    """

    log_dir: str | None = None
    progress: Progress | None = None
    root: CheckpointRoot | None = None
    initialize: Callable[[TwoTowerDCN], None] | None = None
    distribution: Distribution = ONE_REPLICA


NOWHERE = Surroundings()


@dataclass(frozen=True)
class TrainResult:
    """A trained network and how it came about.

    Attributes:
      network: with the weights of `kept_step`.
      trained_on: the examples of the training split that batches were made of.
      history: one row a look at the calibration split, oldest first; see `train`.
      kept_step: the last step; after the guard has ended a training, the step of the look with the
        lowest log loss on hard calibration examples, 0 being that before the first.
      stopped_by: `epochs`, `guard` (see `training.patience`), or `passes` (see `train`).
      kept_passes: passes over the training examples up to that step.
      wide: `WideFit.record`, none without a wide part.
      resumed_from: step of the checkpoint that training went on from, if there was one.
      checkpoints: the folder of this training's checkpoints, which nobody needs any more once the
        network is exported; none where none are kept.
      spent: what they cost.
    """

    network: TwoTowerDCN
    trained_on: Columns
    history: list[Row]
    kept_step: int
    stopped_by: StoppedBy
    kept_passes: float
    wide: dict[str, Any] | None = None
    resumed_from: int | None = None
    checkpoints: str | None = None
    spent: Spent = field(default_factory=Spent)


def train(
    splits: Splits,
    recipe: Recipe,
    around: Surroundings = NOWHERE,
    passes: float | None = None,
) -> TrainResult:
    """Fits the wide part, then trains the layers on what it leaves, for a fixed number of passes.

    Each look scores the **hard** calibration examples, for `one_task` too: hard conversions are
    what is served and what the modes are compared on. `hard_only` trains on hard examples alone.

    A row of the history holds `step`, `epoch` (passes over the examples, a fraction within one),
    `train_loss` (mean over the steps since the last row, before their updates),
    `train_loss_hard`, `train_loss_soft` (mean log loss over those steps' examples of the task),
    `calibration_log_loss_hard`, `..._soft`, `calibration_auc_hard`, `..._soft` and
    `examples_per_second` (training alone). Losses are in nats. A value is none where there is
    nothing to take it over. Where there are examples of both tasks, each shared layer has a
    `gradient_cosine/<layer>` and a `gradient_norm_ratio/<layer>`, see `GradientConflict`.

    Args:
      passes: after how many it ends, whatever the schedule has left: those that another fit of the
        recipe kept. There is no guard then. None ends with the schedule.

    Raises:
      InputError: a split holds no hard example or a numeric feature that is not finite, or the
        loss stops being finite.
      ValueError: the arrays don't fit the layout.
    """
    check_columns(splits.train, splits.layout, TRAIN)
    check_columns(splits.calibration, splits.layout, CALIBRATION)
    return _Training(splits, recipe, around, passes).run()


class _Training:
    """One training from its first step, or from a checkpoint, to its last."""

    def __init__(
        self, splits: Splits, recipe: Recipe, around: Surroundings, passes: float | None
    ) -> None:
        self._splits = splits
        self._recipe = recipe
        self._around = around
        model, training = recipe.model, recipe.training
        self._feed = Feed(splits.train, model, training)
        self._end = self._feed.last_step
        if passes is not None:
            self._end = min(self._end, round(passes * self._feed.per_epoch))
        with around.distribution.scope():
            self._network = TwoTowerDCN(splits.layout, model, training.seed)
            ids, size = self._feed.examples.ids, training.batch_size
            course = Course(self._feed.last_step, row_pulls(self._network, ids, size))
            self._step = TrainStep(self._network, recipe.loss, training, course)
        self._wide = self._start()
        self._observed: NetworkView = around.distribution.observe(self._network)
        self._state = TrainingState(training.patience if passes is None else None)
        self._best = BestWeights(self._observed.network.variables)
        self._checkpoints = self._checkpoints_if_kept()

    def run(self) -> TrainResult:
        """Takes all steps."""
        around, state, feed = self._around, self._state, self._feed
        training = self._recipe.training
        take_step = around.distribution.spread(self._step)
        looks = HeldOut(
            self._observed.network, self._splits.calibration, training.evaluation_batch_size
        )
        conflict = GradientConflict(self._observed.network, feed, self._recipe.loss, training)
        resumed_from = _resume(self._checkpoints, state, around.distribution)
        if resumed_from is None:
            self._observed.refresh()
            state.guard.update(0, around.distribution.agreed(looks.look().hard_log_loss))
            self._best.keep()
        look_every = max(1, round(feed.per_epoch * training.evaluate_every))
        writer = scalar_writer(around.log_dir if around.distribution.chief else None)
        for row in state.history:
            write_scalars(writer, row)
        batches = islice(feed.after(state.step), self._end - state.step)
        for step, batch in enumerate(batches, start=state.step + 1):
            losses = take_step(batch)
            self._check_finite(float(losses.total), step, of_batch=True)
            state.step = step
            state.sums.add(losses, len(batch.label))
            if step % look_every == 0 or step == self._end:
                trained = state.sums.summary()
                self._observed.refresh()
                look = looks.look()
                hard_log_loss = around.distribution.agreed(look.hard_log_loss)
                self._check_finite(hard_log_loss, step, of_batch=False)
                place: Row = {"step": step, "epoch": step / feed.per_epoch}
                row = {**place, **trained, **look.row, **conflict.look()}
                state.history.append(row)
                write_scalars(writer, row)
                if around.progress is not None and around.distribution.chief:
                    around.progress(row)
                if state.guard.update(step, hard_log_loss):
                    self._best.keep()
                if state.guard.exhausted:
                    break
                state.sums = StepSums()
            self._save_if_due(step)
        writer.close()
        if state.guard.exhausted:
            self._best.put_back()
        checkpoints = self._checkpoints
        kept = state.guard.best_step if state.guard.exhausted else state.step
        return TrainResult(
            self._observed.network,
            feed.examples,
            state.history,
            kept,
            self._stopped_by(),
            kept / feed.per_epoch,
            self._wide.record if self._wide else None,
            resumed_from,
            checkpoints.folder if checkpoints else None,
            checkpoints.spent if checkpoints else Spent(),
        )

    def _stopped_by(self) -> StoppedBy:
        if self._state.guard.exhausted:
            return "guard"
        return "epochs" if self._end == self._feed.last_step else "passes"

    def _start(self) -> WideFit | None:
        """Sets the initial weights."""
        model, network = self._recipe.model, self._network
        if self._around.initialize is not None:
            self._around.initialize(network)
        elif not model.wide.enabled:
            columns = of_the_mode(self._splits.train, model)
            network.set_base_rates(base_rates(network, columns))
        if not model.wide.enabled:
            return None
        fit = fit_wide(
            self._feed.examples,
            of_the_mode(self._splits.calibration, model) if self._splits.held_out else None,
            self._splits.layout,
            model,
            self._recipe.training.sampling,
        )
        self._feed.offset = fit.offset
        for tower, name in enumerate(fit.towers):
            network.wide[name].take(fit.weights, tower, fit.newcomers)
        return fit

    def _checkpoints_if_kept(self) -> Checkpoints | None:
        root, training = self._around.root, self._recipe.training
        if root is None or not keeps_checkpoints(training):
            return None
        parts = {
            "network": self._network,
            "optimizer": self._step.optimizer,
            "state": self._state,
            "best": self._best,
        }
        columns = (self._splits.train, self._splits.calibration)
        name = training_identity(columns, self._network.variables, self._recipe, root.code)
        return Checkpoints(os.path.join(root.folder, name), parts, training)

    def _check_finite(self, value: float, step: int, *, of_batch: bool) -> None:
        """Raises the error of a loss that is not finite."""
        if math.isfinite(value):
            return
        seen = "calibration split"
        if of_batch:
            rows, numeric = self._feed.rows(step), self._splits.layout.numeric
            seen = batch_in_words(self._splits.train, rows, numeric)
        saved = self._checkpoints.latest if self._checkpoints else None
        place = Place.of(step, self._feed.per_epoch)
        raise diverged(value, place, self._recipe.training, saved, seen)

    def _save_if_due(self, step: int) -> None:
        checkpoints = self._checkpoints
        if checkpoints is None or not self._around.distribution.chief:
            return
        if checkpoints.due(step):
            seconds = checkpoints.save(step, self._network.variables)
            self._state.sums.leave_out(seconds)


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

    Where labels may still change it is conversions seen over the sum of completeness: the
    likelihood's own estimate of a small rate.

    A tower that would start at 0 or 1, where log-odds are infinite, gets half a conversion more
    in one example more.
    """
    settings, rates = network.settings, {}
    number = task_numbers(columns, settings.tier_boundaries)
    for name in network.towers:
        tasks = [i for i, task in enumerate(settings.tasks) if network.tower_of(task) == name]
        examples = conversions = 0.0
        for rows, block in columns.blocks():
            mine = np.isin(number[rows], tasks)
            weight = block.weighs[mine].astype(np.float64)
            examples += float(weight @ block.seen[mine])
            conversions += float(weight @ block.label[mine])
        if not 0 < conversions < examples:
            examples, conversions = examples + 1, conversions + 0.5
        rates[name] = conversions / examples
    return rates
