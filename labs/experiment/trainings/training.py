"""One training on frozen columns: what decides it, and what is kept of it."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from components.trainer.data.columns import Columns, known
from components.trainer.network.size import parameters
from labs.experiment.studies.arms import Settings
from labs.experiment.studies.cuts import Subsample, advertiser_fold, sampled, thinned
from labs.experiment.trainings.data import FrozenData
from schemas.labelled import CALIBRATION, EVAL, TRAIN

if TYPE_CHECKING:
    from components.trainer.calibrate.calibrator import Calibrator
    from components.trainer.network.network import TwoTowerDCN

SCORED_AT_ONCE = 8192
"""Examples."""

HARD_TOWER, OWN_TOWER, ON_CALIBRATION = "hard_tower", "own_tower", "calibration"
"""Arrays of a finished training: probabilities float32 on the sampled eval examples by the served
tower, by the tower of the example's own task, and by the served tower on `held_out` examples. What
the served tower says is calibrated where the settings want that."""


@dataclass(frozen=True)
class Job:
    """One network to train.

    Attributes:
      seed: of weights, order and dropout; overrides the settings'.
      assignment: folder with `<split>.npy`, the hard examples of each split as bool [n]; None is
        the frozen assignment.
      assignment_digest: of those arrays.
      hard_kept: see `Arm`.
      folds, fold: leave the advertisers of this fold out of training; folds 0 leaves nobody out.
    """

    data: FrozenData
    settings: Settings
    seed: int
    sample: Subsample
    assignment: Path | None = None
    assignment_digest: str = "frozen"
    swapped: bool = False
    folds: int = 0
    fold: int = 0
    hard_kept: float = 1.0

    def identity(self) -> dict[str, Any]:
        """Everything but the code that decides the outcome, as JSON holds it."""
        from components.trainer.loop.identity import UNRELATED

        settings = self.settings.but(training={"seed": self.seed}).dump()
        for name in UNRELATED:
            settings["training"].pop(name, None)
        return {
            "data": self.data.key,
            "settings": settings,
            "sample": self.sample.model_dump() if self.sample.share < 1 else None,
            "assignment": self.assignment_digest,
            "swapped": self.swapped,
            "left_out": [self.fold, self.folds] if self.folds else None,
            "hard_kept": self.hard_kept,
        }

    def key(self, code: str) -> str:
        """Sixteen hex digits that change with anything that decides the outcome.

        Args:
          code: `common.runs.provenance.code_fingerprint` of this module.
        """
        text = json.dumps({"code": code, **self.identity()}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class TrainedJob:
    """A finished training.

    Attributes:
      predictions: see `HARD_TOWER`, `OWN_TOWER`, `ON_CALIBRATION`.
      record: `seconds`, `kept_step`, `stopped_by`, `parameters`, `history`; of `perform` also
        `calibration`, the fitted calibrator's record or None.
    """

    predictions: dict[str, npt.NDArray[np.float32]]
    record: dict[str, Any]


def columns_of(job: Job, split: str) -> Columns:
    """The columns that the job trains on or scores."""
    learns = split != EVAL
    columns = job.data.columns(split)
    if job.assignment is not None:
        columns = replace(columns, hard=np.load(job.assignment / f"{split}.npy"))
    rows = np.ones(len(columns), bool)
    if learns and job.hard_kept < 1:
        rows &= thinned(columns.hard, split, job.hard_kept, job.seed)
    if job.sample.share < 1:
        kept = sampled(job.data.facts(split), split, job.sample)
        rows &= True if kept is None else kept
    if learns and job.folds:
        rows &= advertiser_fold(job.data.facts(split), job.folds) != job.fold
    if job.swapped:
        columns = replace(columns, hard=~columns.hard)
    return columns if rows.all() else columns.take(rows)


def learned_from(job: Job, split: str) -> Columns:
    """Those of the job's columns whose labels say enough by the settings, as the Trainer does."""
    training = job.settings.training
    return known(columns_of(job, split), training.labels, training.min_completeness)


def fit(job: Job) -> tuple[TwoTowerDCN, dict[str, Any]]:
    """Trains.

    Returns:
      The network and the record of `TrainedJob`, without a calibration.

    Raises:
      InputError: there is nothing to train on, or the loss is no number any more.
    """
    from components.trainer.loop.loop import Splits, train

    settings = job.settings.but(training={"seed": job.seed})
    began = time.perf_counter()
    train_columns, calibration = (learned_from(job, split) for split in (TRAIN, CALIBRATION))
    splits = Splits(train_columns, calibration, job.data.layout, job.data.held_out)
    result = train(splits, settings)
    return result.network, {
        "seconds": time.perf_counter() - began,
        "kept_step": result.kept_step,
        "stopped_by": result.stopped_by,
        "parameters": parameters(settings.model, job.data.layout)["full"],
        "wide": result.wide,
        "history": result.history,
    }


def check(job: Job) -> None:
    """Refuses a job whose calibrator cannot be fitted.

    Raises:
      InputError: too few of its calibration examples converted, or all.
    """
    from components.trainer.calibrate.calibrator import NONE, check_calibration

    calibration = job.settings.training.calibration
    if calibration.method != NONE:
        check_calibration(learned_from(job, CALIBRATION), job.settings.model, calibration)


def perform(job: Job) -> TrainedJob:
    """Trains, calibrates as the Trainer's export does, and scores.

    Raises:
      InputError: see `check` and `fit`.
    """
    from components.trainer.calibrate.calibrator import fit_calibrators
    from components.trainer.data.columns import task_numbers

    check(job)
    network, record = fit(job)
    model, training = job.settings.model, job.settings.training
    fitted = fit_calibrators(
        network,
        learned_from(job, CALIBRATION),
        training.calibration,
        training.evaluation_batch_size,
    )
    serving = network.serving_tower
    record["calibration"] = fitted[serving].record if serving in fitted else None
    calibrators = {tower: of_tower.calibrator for tower, of_tower in fitted.items()}
    evaluated = columns_of(job, EVAL)
    scored = exported(network, serving, evaluated, calibrators)
    own = scored.copy()
    number = task_numbers(evaluated, model.tier_boundaries)
    for i, name in enumerate(model.tasks):
        tower = network.tower_of(name)
        if tower is not None and tower != serving:
            mine = np.flatnonzero(number == i)
            own[mine] = exported(network, tower, evaluated.take(mine), calibrators)
    on_calibration = exported(network, serving, held_out(job), calibrators)
    return TrainedJob({HARD_TOWER: scored, OWN_TOWER: own, ON_CALIBRATION: on_calibration}, record)


def exported(
    network: TwoTowerDCN, tower: str, columns: Columns, calibrators: Mapping[str, Calibrator]
) -> npt.NDArray[np.float32]:
    """What the exported graphs answer for a tower, calibrated if it is, float32 [n]."""
    from components.trainer.calibrate.calibrator import probability
    from components.trainer.step.scoring import TowerScorer

    logits = TowerScorer(network, tower, SCORED_AT_ONCE).logits(columns)
    probabilities: npt.NDArray[np.float32] = probability(logits, calibrators.get(tower)).numpy()
    return probabilities


def held_out(job: Job) -> Columns:
    """The sampled calibration examples that the frozen assignment calls hard."""
    frozen = replace(job, assignment=None, swapped=False, folds=0, hard_kept=1.0)
    judged = columns_of(frozen, CALIBRATION)
    return judged.take(judged.hard)
