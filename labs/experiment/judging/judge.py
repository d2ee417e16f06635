"""The examples that arms are compared on, and the arms' predictions of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import reduce
from pathlib import Path

import numpy as np
import pyarrow as pa
from scipy.special import logit

from common.arrays import Bools, Floats, Floats32
from common.days import to_day
from common.statistics.sums import CLIP
from components.trainer.calibrate.platt import fit_platt
from labs.experiment.judging.statistics import Judged
from labs.experiment.studies.arms import Arm
from labs.experiment.studies.cuts import Subsample, advertiser_fold, sampled
from labs.experiment.trainings.data import FrozenData
from labs.experiment.trainings.examples import codes
from labs.experiment.trainings.rolling import AS_OF, NEW, WITHIN_A_DAY
from labs.experiment.trainings.store import Store
from labs.experiment.trainings.training import HARD_TOWER, ON_CALIBRATION, OWN_TOWER, Job
from schemas import labelled
from schemas.labelled import CALIBRATION, EVAL

SETS: Mapping[str, str] = {
    "hard": "hard examples of the run's frozen assignment",
    "truly_hard": "examples of setups whose true CVR is at most alpha on their day",
    "all": "all examples",
    "hard_in_all": "examples that are hard by every assignment of the experiment",
    "hard_quick": "hard examples of the categories that convert sooner than the average one",
    "hard_slow": "hard examples of the categories that convert later than the average one",
    "hard_known": "hard examples of setups that the judged fit had met",
    "hard_new": "hard examples of setups that the judged fit had not met",
}
ON_DAY = "hard_after_"
"""Followed by an as-of day: the hard examples that come after it."""


def what_is(name: str) -> str:
    """A set in words.

    Raises:
      KeyError: there is no such set.
    """
    if name.startswith(ON_DAY):
        return f"hard examples of the days from {name.removeprefix(ON_DAY)} on"
    return SETS[name]


@dataclass(frozen=True)
class Trained:
    """An arm's finished trainings in one seed, one an as-of day and fold, in this order."""

    arm: Arm
    jobs: tuple[tuple[str, Job], ...]


class Bench:
    """The sampled eval examples, in the order of every stored prediction."""

    def __init__(self, data: Sequence[FrozenData], jobs: Sequence[Job]) -> None:
        """
        Args:
          data: whose eval splits are judged, one after the other.
          jobs: all trainings of the experiment, of one sample.
        """
        self._sample = jobs[0].sample
        self._data, self._jobs = data[0], jobs
        self._places: list[slice] = []
        facts, hard, label, truth, done = [], [], [], [], 0
        for part in data:
            columns, of_part = part.columns(EVAL), part.facts(EVAL)
            kept = sampled(of_part, EVAL, self._sample)
            rows = np.arange(len(columns)) if kept is None else np.flatnonzero(kept)
            self._places.append(slice(done, done + len(rows)))
            done += len(rows)
            facts.append(of_part.take(pa.array(rows)))
            hard.append(np.asarray(columns.hard)[rows])
            label.append(np.asarray(columns.label, np.float64)[rows])
            known = part.truth(EVAL)
            truth.append(None if known is None else known[rows])
        self._facts = pa.concat_tables(facts).unify_dictionaries()
        self._hard, self._label = np.concatenate(hard), np.concatenate(label)
        told = [known for known in truth if known is not None]
        self._truth = np.concatenate(told) if len(told) == len(truth) else None
        self._setup, _ = codes(self._facts[labelled.SETUP_ID])

    def rows(self, name: str, root: Path, alpha: float) -> Bools:
        """Which of the bench's examples belong to a set, bool [n]; see `what_is`."""
        if name == "hard":
            return self._hard
        if name == "all":
            return np.ones(len(self._hard), bool)
        if name == "truly_hard":
            from labs.experiment.trainings.truth import true_sides

            return true_sides(root, self._facts, alpha)
        if name == "hard_in_all":
            sides = [np.load(t.assignment / f"{EVAL}.npy") for t in self._jobs if t.assignment]
            whole = [self._sampled_side(side) for side in sides]
            return reduce(np.logical_and, whole, self._hard)
        if name.startswith(ON_DAY):
            day = to_day(date.fromisoformat(name.removeprefix(ON_DAY)))
            return self._hard & (self._facts[AS_OF].to_numpy() == day)
        if name in ("hard_known", "hard_new"):
            return self._hard & ((self._facts[NEW].to_numpy()) == (name == "hard_new"))
        soon = self._facts[WITHIN_A_DAY].to_numpy()
        average = soon[self._hard].mean() if self._hard.any() else 0.0
        return self._hard & ((soon < average) == (name == "hard_slow"))

    def _sampled_side(self, side: Bools) -> Bools:
        kept = sampled(self._data.facts(EVAL), EVAL, self._sample)
        return side if kept is None else side[kept]

    def judged(self, rows: Bools) -> Judged:
        """The examples of a set."""
        truth = None if self._truth is None else self._truth[rows]
        return Judged.of(self._setup[rows], self._label[rows], truth)

    def predictions(self, store: Store, trained: Trained, rows: Bools) -> Floats:
        """Probabilities of the set's examples, each by the network that may score it."""
        name = OWN_TOWER if trained.arm.scoring == "own_tower" else HARD_TOWER
        return self._assembled(
            trained, rows, lambda key: store.predictions(key, name).astype(np.float64)
        )

    def recalibrated(self, store: Store, trained: Trained, rows: Bools) -> Floats:
        """The served tower's probabilities after Platt scaling on hard calibration examples."""
        label = held_out_judged(self._data, self._sample).label

        def scaled(key: str) -> Floats:
            platt = fit_platt(
                _logit(store.predictions(key, ON_CALIBRATION)), label, np.ones(len(label))
            )
            return platt.probability(_logit(store.predictions(key, HARD_TOWER)))

        return self._assembled(trained, rows, scaled)

    def _assembled(self, trained: Trained, rows: Bools, scores: Callable[[str], Floats]) -> Floats:
        folds = trained.arm.folds
        scored = np.empty(len(self._hard))
        for turn, place in enumerate(self._places):
            here = scored[place]
            if not folds:
                here[:] = scores(trained.jobs[turn][0])
                continue
            fold = advertiser_fold(self._facts.slice(place.start, len(here)), folds)
            for key, job in trained.jobs[turn * folds : (turn + 1) * folds]:
                mine = fold == job.fold
                here[mine] = scores(key)[mine]
        return scored[rows]


def held_out_judged(data: FrozenData, sample: Subsample) -> Judged:
    """The examples of `training.held_out`, in its order."""
    facts, columns = data.facts(CALIBRATION), data.columns(CALIBRATION)
    kept = sampled(facts, CALIBRATION, sample)
    mine = np.asarray(columns.hard) if kept is None else np.asarray(columns.hard) & kept
    setup, _ = codes(facts[labelled.SETUP_ID])
    return Judged.of(setup[mine], np.asarray(columns.label)[mine].astype(np.float64), None)


def _logit(probability: Floats32) -> Floats:
    z: Floats = logit(np.clip(probability.astype(np.float64), CLIP, 1 - CLIP))
    return z
