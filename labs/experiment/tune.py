"""A search for settings: KerasTuner proposes, and the calibration period judges."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner.errors import FailedTrialError, FatalError

from common.statistics.bootstrap import Draws
from labs.experiment.judging.judge import held_out_judged
from labs.experiment.judging.lead import Lead, lead
from labs.experiment.knobs import Value, changes, effective, search_space
from labs.experiment.studies.arms import Settings
from labs.experiment.studies.cuts import Subsample
from labs.experiment.trainings.data import FrozenData
from labs.experiment.trainings.store import Store
from labs.experiment.trainings.training import (
    ON_CALIBRATION,
    Job,
    TrainedJob,
    exported,
    fit,
    held_out,
)
from schemas.errors import InputError

OBJECTIVE = "calibration_log_loss_hard"
"""Nats; the lowest of a training's looks, mean over the seeds."""


@dataclass(frozen=True)
class Search:
    """What is searched.

    Attributes:
      names: keys of `knobs.KNOBS`.
      trials: how many settings are tried, the present ones first.
      seeds: trainings of each.
      seed: of the proposals.
      code: fingerprint of the trainer's sources.
    """

    data: FrozenData
    settings: Settings
    names: tuple[str, ...]
    trials: int
    seeds: int
    seed: int
    sample: Subsample
    code: str

    @property
    def key(self) -> str:
        """Sixteen hex digits that change with everything but the number of trials."""
        first = self.jobs({})[0]
        text = json.dumps([first.key(self.code), self.names, self.seeds, self.seed])
        return sha256(text.encode()).hexdigest()[:16]

    def jobs(self, values: Mapping[str, Value]) -> list[Job]:
        """The trainings of a trial, one a seed.

        Raises:
          InputError: the settings refuse the values.
        """
        settings = self.settings.but(**changes(values, self.settings))
        first = self.settings.training.seed
        return [Job(self.data, settings, first + turn, self.sample) for turn in range(self.seeds)]


@dataclass(frozen=True)
class Trial:
    """A finished trial.

    Attributes:
      number: from 1, in the order of proposal; 1 has the present settings.
      score: see `OBJECTIVE`.
      values: of the knobs.
    """

    number: int
    score: float
    values: Mapping[str, Value]


Report = Callable[[int, int, float | None, float, float], None]
"""Called as a trial ends: number, trials in all, its score (none when it failed), the best score so
far, seconds."""


class _PresentFirst(keras_tuner.oracles.RandomSearchOracle):
    """Random search whose first trial is the space's defaults."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Values of the next trial, in KerasTuner's form."""
        if self.start_order or self._tried_so_far:
            proposed: dict[str, Any] = super().populate_space(trial_id)
            return proposed
        values = {hp.name: hp.default for hp in self.get_space().space}
        return {"status": "RUNNING", "values": values}


class _Tuner(keras_tuner.engine.base_tuner.BaseTuner):
    """Runs each trial on the frozen columns.

    Finished trainings are kept in a store as well: a trial whose result a kill kept from
    KerasTuner's own files is not trained again.
    """

    def __init__(self, search: Search, store: Store, report: Report, **places: Any) -> None:
        self._search, self._store, self._report = search, store, report
        super().__init__(
            _PresentFirst(
                objective=keras_tuner.Objective(OBJECTIVE, "min"),
                max_trials=search.trials,
                hyperparameters=search_space(search.settings, search.names),
                allow_new_entries=False,
                tune_new_entries=False,
                seed=search.seed,
                max_consecutive_failed_trials=10,
            ),
            **places,
        )

    def run_trial(self, trial: Any) -> dict[str, float]:
        """The objective of a trial's settings."""
        began, number = time.monotonic(), int(trial.trial_id) + 1
        try:
            scores = [self._score(job) for job in self._search.jobs(trial.hyperparameters.values)]
        except InputError as error:
            spent = time.monotonic() - began
            self._report(number, self._search.trials, None, self._best(), spent)
            raise FailedTrialError(str(error)) from error
        except Exception as error:
            raise FatalError(str(error)) from error
        score = float(np.mean(scores))
        best, seconds = min(score, self._best()), time.monotonic() - began
        self._report(number, self._search.trials, score, best, seconds)
        return {OBJECTIVE: score}

    def _score(self, job: Job) -> float:
        key = job.key(self._search.code)
        if not self._store.has(key):
            network, record = fit(job)
            scored = exported(network, network.serving_tower, held_out(job), {})
            predictions = {ON_CALIBRATION: scored}
            self._store.keep(key, TrainedJob(predictions, record), job.identity())
        return float(self._store.record(key)["history"][-1][OBJECTIVE])

    def _best(self) -> float:
        return min((trial.score for trial in finished(self.oracle)), default=float("inf"))


def run_search(search: Search, folder: Path, report: Report) -> list[Trial]:
    """Tries settings until `search.trials` are done, going on from where a former call stopped.

    Args:
      folder: KerasTuner's project and the finished trainings are kept under it, by the search's
        key.

    Returns:
      The finished trials, best first.

    Raises:
      InputError: a knob is unknown, or no trial succeeded.
    """
    search_space(search.settings, search.names)
    store = kept_in(folder)
    places = {"directory": str(folder), "project_name": search.key}
    # KerasTuner prints what the report says.
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            tuner = _Tuner(search, store, report, **places)
        except (ValueError, KeyError, RuntimeError):
            # It writes its files in place: a kill in the middle of one leaves it broken. The same
            # seed proposes the same trials, and the store has their results.
            shutil.rmtree(folder / search.key)
            tuner = _Tuner(search, store, report, **places)
    tuner.oracle.verbose = 0
    tuner.search()
    trials = finished(tuner.oracle)
    if not trials:
        raise InputError(f"tune: none of {search.trials} trials succeeded; see the lines above")
    return [replace(t, values=effective(t.values, search.settings)) for t in trials]


def kept_in(folder: Path) -> Store:
    """The finished trainings of all searches of a folder."""
    return Store(folder / "trainings")


def lead_of(search: Search, folder: Path, trials: Sequence[Trial], draws: Draws) -> Lead | None:
    """How far the best of finished trials is ahead of the present settings; None without these.

    Args:
      folder: as of `run_search`.
    """
    present = [place for place, trial in enumerate(trials) if trial.number == 1]
    if not present:
        return None
    store = kept_in(folder)
    predictions = [
        [
            store.predictions(job.key(search.code), ON_CALIBRATION).astype(np.float64)
            for job in search.jobs(trial.values)
        ]
        for trial in (trials[present[0]], *trials)
    ]
    return lead(held_out_judged(search.data, search.sample), predictions, 1, draws)


def finished(oracle: Any) -> list[Trial]:
    """The oracle's completed trials, best first, earlier ones first among equals."""
    done = [
        Trial(int(t.trial_id) + 1, float(t.score), dict(t.hyperparameters.values))
        for t in oracle.trials.values()
        if t.status == "COMPLETED" and t.score is not None
    ]
    return sorted(done, key=lambda trial: (trial.score, trial.number))


def chosen_changes(search: Search, trials: Sequence[Trial]) -> dict[str, dict[str, Any]]:
    """What the best trial changes, by part of the settings."""
    return changes(trials[0].values, search.settings)
