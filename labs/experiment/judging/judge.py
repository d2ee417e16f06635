"""The examples that arms are compared on, and the arms' predictions of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.special import logit

from common.arrays import Bools, Floats
from common.statistics.sums import CLIP
from components.trainer.calibrate.platt import fit_platt
from labs.experiment.judging.statistics import Judged
from labs.experiment.studies.arms import Arm
from labs.experiment.studies.cuts import Sample, advertiser_fold, sampled
from labs.experiment.trainings.data import FrozenData
from labs.experiment.trainings.examples import codes
from labs.experiment.trainings.store import Store
from labs.experiment.trainings.training import HARD_TOWER, ON_CALIBRATION, OWN_TOWER, Job
from schemas import labelled
from schemas.labelled import CALIBRATION, EVAL

SETS: Mapping[str, str] = {
    "hard": "hard examples of the run's frozen assignment",
    "truly_hard": "examples of setups whose true CVR is at most alpha on their day",
    "all": "all examples",
    "hard_in_all": "examples that are hard by every assignment of the experiment",
}


@dataclass(frozen=True)
class Trained:
    """An arm's finished trainings in one seed, one a fold."""

    arm: Arm
    jobs: tuple[tuple[str, Job], ...]


class Bench:
    """The sampled eval examples, in the order of every stored prediction."""

    def __init__(self, data: FrozenData, jobs: list[Job]) -> None:
        """
        Args:
          jobs: all trainings of the experiment, of one sample.
        """
        sample = jobs[0].sample
        facts, columns = data.facts(EVAL), data.columns(EVAL)
        rows = sampled(facts, EVAL, sample)
        self._rows = np.arange(len(columns)) if rows is None else np.flatnonzero(rows)
        self._setup, _ = codes(facts[labelled.SETUP_ID])
        self._label = np.asarray(columns.label, np.float64)
        self._truth = data.truth
        self._hard = np.asarray(columns.hard)
        self._facts, self._data, self._jobs = facts, data, jobs
        self._calibration_label = held_out_judged(data, sample).label

    def rows(self, name: str, root: Path, alpha: float) -> Bools:
        """Which of the bench's examples belong to a set, bool [n]; see `SETS`."""
        if name == "hard":
            whole = self._hard
        elif name == "all":
            whole = np.ones(len(self._hard), bool)
        elif name == "truly_hard":
            from labs.experiment.judging.truth import true_sides

            whole = true_sides(root, self._facts, alpha)
        else:
            sides = [np.load(t.assignment / f"{EVAL}.npy") for t in self._jobs if t.assignment]
            whole = reduce(np.logical_and, sides, self._hard)
        return whole[self._rows]

    def judged(self, rows: Bools) -> Judged:
        """The examples of a set."""
        mine = self._rows[rows]
        truth = None if self._truth is None else self._truth[mine]
        return Judged.of(self._setup[mine], self._label[mine], truth)

    def predictions(self, store: Store, trained: Trained, rows: Bools) -> Floats:
        """Probabilities of the set's examples, each by the network that may score it."""
        name = OWN_TOWER if trained.arm.scoring == "own_tower" else HARD_TOWER
        return self._assembled(
            trained, rows, lambda key: store.predictions(key, name).astype(np.float64)
        )

    def recalibrated(self, store: Store, trained: Trained, rows: Bools) -> Floats:
        """The served tower's probabilities after Platt scaling on hard calibration examples."""

        def scaled(key: str) -> Floats:
            platt = fit_platt(
                _logit(store.predictions(key, ON_CALIBRATION)),
                self._calibration_label,
                np.ones(len(self._calibration_label)),
            )
            return platt.probability(_logit(store.predictions(key, HARD_TOWER)))

        return self._assembled(trained, rows, scaled)

    def _assembled(self, trained: Trained, rows: Bools, scores: Callable[[str], Floats]) -> Floats:
        if not trained.arm.folds:
            return scores(trained.jobs[0][0])[rows]
        fold = advertiser_fold(self._facts, trained.arm.folds)[self._rows][rows]
        found = np.empty(len(fold))
        for key, job in trained.jobs:
            mine = fold == job.fold
            found[mine] = scores(key)[rows][mine]
        return found


def held_out_judged(data: FrozenData, sample: Sample) -> Judged:
    """The examples of `training.held_out`, in its order."""
    facts, columns = data.facts(CALIBRATION), data.columns(CALIBRATION)
    kept = sampled(facts, CALIBRATION, sample)
    mine = np.asarray(columns.hard) if kept is None else np.asarray(columns.hard) & kept
    setup, _ = codes(facts[labelled.SETUP_ID])
    return Judged.of(setup[mine], np.asarray(columns.label)[mine].astype(np.float64), None)


def _logit(probability: npt.NDArray[np.float32]) -> Floats:
    found: Floats = logit(np.clip(probability.astype(np.float64), CLIP, 1 - CLIP))
    return found
