"""What simple predictions reach on the hard eval examples that experiments judge networks by.

    python -m benchmarks.references --out OUT      after `hardtower experiment table3 --out OUT`

with the dependency group `bench` installed. The historical CVR; logistic regressions on the
networks' own features, one-hot ids and numbers, trained on all or on hard examples, with the
squared penalty that has the lowest log loss on hard calibration examples. The last one learns from
all examples, with weights that all share and others that hard ones add to them: what two tasks can
lend each other in a linear model (Daume, "Frustratingly easy domain adaptation", ACL 2007).
LightGBM, which most would take instead, has the same features, ids as its own categories, and as
many trees as suit the hard calibration examples.

All learn what the networks learn: by the likelihood of labels that may still change, and with
their level shifted on the hard calibration examples by the Trainer's own calibration.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import logit

from benchmarks.frozen import frozen_data
from common.arrays import Floats
from components.trainer.calibrate.calibrator import fit_on
from components.trainer.data.columns import Columns, known
from components.trainer.settings import CalibrationSettings, TrainingSettings
from components.trainer.wide.likelihood import derivatives, loss
from labs.experiment.judging.statistics import calibration, rig
from labs.experiment.trainings.data import FrozenData
from schemas.labelled import CALIBRATION, EVAL, TRAIN

PENALTIES = (100.0, 30.0, 10.0, 3.0)
"""Halved, times the squared weights, added to the summed log loss."""

MOST_ITERATIONS = 100
"""Of L-BFGS for each penalty, which begins where the one before has ended."""

TREES: tuple[dict[str, float], ...] = (
    {"num_leaves": 15, "min_data_in_leaf": 200, "lambda_l2": 10.0},
    {"num_leaves": 7, "min_data_in_leaf": 50, "cat_smooth": 100.0, "cat_l2": 100.0},
    {
        **{"num_leaves": 31, "min_data_in_leaf": 20, "cat_smooth": 300.0, "cat_l2": 30.0},
        "min_data_per_group": 20,
    },
)
"""Small trees, with penalties on categories: conversions are rare, ids are many."""

LEARNING_RATE, MOST_TREES, PATIENCE = 0.05, 400, 30
"""Of LightGBM: trees at most, and trees without a lower loss after which no more are added."""


class Logits(NamedTuple):
    """What a reference says of the hard calibration examples, and of those judged."""

    held_out: Floats
    judged: Floats


class ReferenceData(NamedTuple):
    """What references learn from, and are compared on."""

    data: FrozenData
    hard: Columns
    everyone: Columns
    held_out: Columns
    judged: Columns

    @classmethod
    def of(cls, data: FrozenData) -> ReferenceData:
        training = TrainingSettings()

        def seen(split: str) -> Columns:
            return known(data.columns(split), training.labels, training.min_completeness)

        everyone = seen(TRAIN)
        held_out, judged = seen(CALIBRATION), data.columns(EVAL)
        return cls(data, _hard(everyone), everyone, _hard(held_out), _hard(judged))


def main() -> None:
    _, data = frozen_data(__doc__)
    task = ReferenceData.of(data)
    hard, label = np.asarray(data.columns(EVAL).hard), task.judged.label.astype(np.float64)
    truth = data.truth(EVAL)
    table = Table(title=f"{len(label):,} hard eval examples")
    for name in ("prediction", "expected RIG", "RIG", "calibration", "seconds"):
        table.add_column(name, justify="left" if name == "prediction" else "right")

    def add(name: str, predict: Callable[[], Logits]) -> None:
        began = time.perf_counter()
        logits = predict()
        fitted = fit_on(logits.held_out.astype(np.float32), task.held_out, CalibrationSettings())
        show(name, fitted.calibrator.probability(logits.judged), time.perf_counter() - began)

    def show(name: str, probability: Floats, seconds: float) -> None:
        expected = "" if truth is None else f"{rig(truth[hard], probability):.4f}"
        level = f"{calibration(label, probability):.2f}"
        figures = (expected, f"{rig(label, probability):.4f}", level, f"{seconds:.0f}")
        table.add_row(name, *figures)

    add("historical CVR", lambda: Logits(_log_odds(task.held_out), _log_odds(task.judged)))
    for on, columns in (("hard", task.hard), ("all", task.everyone)):
        for what, ids in (("numbers", False), ("ids and numbers", True)):
            add(f"logistic, {what}, {on}", partial(_logistic, columns, task, ids))
    shared = "logistic, all, and weights of hard's own"
    add(shared, partial(_logistic, task.everyone, task, with_ids=True, own=True))
    for on, columns in (("hard", task.hard), ("all", task.everyone)):
        add(f"LightGBM, {on}", partial(_boosted, columns, task))
    if truth is not None:
        show("true probabilities", truth[hard], 0.0)
    Console(highlight=False, width=100).print(table)


def _hard(columns: Columns) -> Columns:
    return columns.take(np.asarray(columns.hard))


def _log_odds(columns: Columns) -> Floats:
    z: Floats = logit(np.clip(columns.cvr.astype(np.float64), 1e-6, 1 - 1e-6))
    return z


def _completeness(columns: Columns) -> Floats | None:
    return None if columns.completeness is None else columns.completeness.astype(np.float64)


def _loss(z: Floats, columns: Columns) -> float:
    """Summed negative log likelihood of what had been observed, nats."""
    label = columns.label.astype(np.float64)
    return float(loss(z, label, 0.0, _completeness(columns)).sum())


def _logistic(train: Columns, task: ReferenceData, with_ids: bool, own: bool = False) -> Logits:
    """By the penalty that suits the held-out examples best."""
    inputs, there, here = (
        _design(columns, task.data, with_ids, own)
        for columns in (train, task.held_out, task.judged)
    )
    weights = np.zeros(inputs.shape[1])
    weights[0] = _base_log_odds(train)
    best, chosen = np.inf, Logits(np.empty(0), np.empty(0))
    for penalty in PENALTIES:
        weights = _fit(inputs, train, penalty, weights)
        logits = Logits(there @ weights, here @ weights)
        held_out = _loss(logits.held_out, task.held_out)
        if held_out < best:
            best, chosen = held_out, logits
    return chosen


def _base_log_odds(columns: Columns) -> float:
    return float(logit(columns.label.sum(dtype=np.float64) / columns.seen.sum(dtype=np.float64)))


def _boosted(train: Columns, task: ReferenceData) -> Logits:
    """By gradient-boosted trees, of the kind and as many as suit the held-out examples best."""
    # Of the group `bench`, which `make test` does without.
    import lightgbm

    def table(columns: Columns) -> Floats:
        return np.hstack([columns.ids, columns.nums]).astype(np.float64)

    start = _base_log_odds(train)
    label, completeness = train.label.astype(np.float64), _completeness(train)

    def objective(z: Floats, _: Any) -> tuple[Floats, Floats]:
        each = derivatives(z, label, 0.0, completeness)
        return each.slope, each.information

    def held_out_loss(z: Floats, _: Any) -> tuple[str, float, bool]:
        return "loss", _loss(z, task.held_out), False

    categories = list(range(train.ids.shape[1]))
    learned = lightgbm.Dataset(
        table(train),
        train.label,
        categorical_feature=categories,
        init_score=np.full(len(train), start),
        free_raw_data=False,
    )
    later = learned.create_valid(
        table(task.held_out), task.held_out.label, init_score=np.full(len(task.held_out), start)
    )
    best, chosen = np.inf, Logits(np.empty(0), np.empty(0))
    for trees in TREES:
        model = lightgbm.train(
            {
                "objective": objective,
                "metric": "none",
                "learning_rate": LEARNING_RATE,
                "num_threads": len(os.sched_getaffinity(0)),
                "seed": 1,
                "verbose": -1,
                "feature_pre_filter": False,
                **trees,
            },
            learned,
            num_boost_round=MOST_TREES,
            valid_sets=[later],
            feval=held_out_loss,
            callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
        )
        logits = Logits(
            *(
                start + np.asarray(model.predict(table(columns), raw_score=True))
                for columns in (task.held_out, task.judged)
            )
        )
        held_out = _loss(logits.held_out, task.held_out)
        if held_out < best:
            best, chosen = held_out, logits
    return chosen


def _design(columns: Columns, data: FrozenData, with_ids: bool, own: bool) -> sparse.csr_matrix:
    """A one, numbers and one-hot ids for each example; `own`: for hard ones the same once more."""
    rows = len(columns)
    parts = [sparse.csr_matrix(np.hstack([np.ones((rows, 1)), columns.nums]))]
    if with_ids:
        sizes = np.asarray(data.layout.rows)
        places = columns.ids + (np.cumsum(sizes) - sizes)
        starts = np.arange(0, places.size + 1, places.shape[1])
        shape = (rows, int(sizes.sum()))
        parts.append(sparse.csr_matrix((np.ones(places.size), places.ravel(), starts), shape))
    design = sparse.hstack(parts, format="csr")
    if not own:
        return design
    of_hard = sparse.diags(np.asarray(columns.hard, np.float64)) @ design
    return sparse.hstack([design, of_hard], format="csr")


def _fit(inputs: sparse.csr_matrix, columns: Columns, penalty: float, start: Floats) -> Floats:
    """Weights of a logistic regression; the intercept, the first one, is not penalised."""
    back = inputs.T.tocsr()
    label, completeness = columns.label.astype(np.float64), _completeness(columns)
    pull = np.full(inputs.shape[1], penalty)
    pull[0] = 0.0

    def penalised(weights: Floats) -> tuple[float, Floats]:
        z = inputs @ weights
        value = loss(z, label, 0.0, completeness).sum() + 0.5 * pull @ weights**2
        slope = derivatives(z, label, 0.0, completeness).slope
        return float(value), back @ slope + pull * weights

    options = {"maxiter": MOST_ITERATIONS}
    weights: Floats = minimize(penalised, start, jac=True, method="L-BFGS-B", options=options).x
    return weights


if __name__ == "__main__":
    main()
