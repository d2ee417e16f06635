"""What simple predictions reach on the hard eval examples that experiments judge networks by.

    python -m benchmarks.references --out OUT      after `hardtower experiment table3 --out OUT`

with the dependency group `bench` installed. The historical CVR, as it is and after Platt scaling
on hard calibration examples; and logistic regressions on the networks' own features, one-hot ids
and numbers, trained on all or on hard examples, with the squared penalty that has the lowest log
loss on hard calibration examples. The last one learns from all examples, with weights that all
share and others that hard ones add to them: what two tasks can lend each other in a linear model
(Daume, "Frustratingly easy domain adaptation", ACL 2007). LightGBM, which most would
take instead, has the same features, ids as its own categories, and as many trees as suit the hard
calibration examples.
"""

from __future__ import annotations

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import expit, logit

from benchmarks.frozen import frozen_data
from common.arrays import Floats
from common.statistics.sums import log_loss
from components.trainer.calibrate.platt import fit_platt
from components.trainer.data.columns import Columns
from labs.experiment.judging.statistics import calibration, rig
from labs.experiment.trainings.data import FrozenData
from schemas.labelled import CALIBRATION, EVAL, TRAIN

PENALTIES = (3.0, 10.0, 30.0, 100.0)
"""Halved, times the squared weights, added to the summed log loss."""

TREES: tuple[dict[str, float], ...] = (
    {"num_leaves": 15, "min_data_in_leaf": 200, "lambda_l2": 10.0},
    {"num_leaves": 7, "min_data_in_leaf": 50, "cat_smooth": 100.0, "cat_l2": 100.0},
    {
        **{"num_leaves": 31, "min_data_in_leaf": 20, "cat_smooth": 300.0, "cat_l2": 30.0},
        "min_data_per_group": 20,
    },
)
"""Small trees, with penalties on categories: conversions are rare, ids are many."""

MOST_TREES, PATIENCE = 1000, 50
"""Trees at most, and trees without a lower loss after which no more are added."""


def main() -> None:
    _, data = frozen_data(__doc__)
    train, held_out, judged = (_hard(data.columns(s)) for s in (TRAIN, CALIBRATION, EVAL))
    hard, truth = np.asarray(data.columns(EVAL).hard), data.truth(EVAL)
    table = Table(title=f"{len(judged):,} hard eval examples")
    for name in ("prediction", "expected RIG", "RIG", "calibration"):
        table.add_column(name, justify="left" if name == "prediction" else "right")

    def add(name: str, probability: Floats) -> None:
        label = judged.label.astype(np.float64)
        expected = "" if truth is None else f"{rig(truth[hard], probability):.4f}"
        level = f"{calibration(label, probability):.2f}"
        table.add_row(name, expected, f"{rig(label, probability):.4f}", level)

    add("historical CVR", expit(_log_odds(judged)))
    platt = fit_platt(_log_odds(held_out), held_out.label.astype(np.float64), _ones(held_out))
    add("historical CVR, Platt", platt.probability(_log_odds(judged)))
    for on, columns in (("hard", train), ("all", data.columns(TRAIN))):
        for what, with_ids in (("numbers", False), ("ids and numbers", True)):
            add(f"logistic, {what}, {on}", _logistic(columns, held_out, judged, data, with_ids))
    shared = _logistic(data.columns(TRAIN), held_out, judged, data, with_ids=True, own=True)
    add("logistic, all, and weights of hard's own", shared)
    for on, columns in (("hard", train), ("all", data.columns(TRAIN))):
        add(f"LightGBM, {on}", _boosted(columns, held_out, judged))
    if truth is not None:
        add("true probabilities", truth[hard])
    Console(highlight=False).print(table)


def _hard(columns: Columns) -> Columns:
    return columns.take(np.asarray(columns.hard))


def _ones(columns: Columns) -> Floats:
    return np.ones(len(columns))


def _log_odds(columns: Columns) -> Floats:
    found: Floats = logit(np.clip(columns.cvr.astype(np.float64), 1e-6, 1 - 1e-6))
    return found


def _logistic(
    train: Columns,
    held_out: Columns,
    judged: Columns,
    data: FrozenData,
    with_ids: bool,
    own: bool = False,
) -> Floats:
    """Probabilities of the judged examples by the penalty that suits the held-out ones best."""
    inputs, there, here = (_design(c, data, with_ids, own) for c in (train, held_out, judged))
    label = train.label.astype(np.float64)
    best, found = np.inf, np.empty(0)
    for penalty in PENALTIES:
        weights = _fit(inputs, label, penalty)
        loss = float(log_loss(held_out.label.astype(np.float64), expit(there @ weights)).sum())
        if loss < best:
            best, found = loss, expit(here @ weights)
    return found


def _boosted(train: Columns, held_out: Columns, judged: Columns) -> Floats:
    """Probabilities by gradient-boosted trees, of the kind and as many as suit the held-out
    examples best."""
    # Of the group `bench`, which `make test` does without.
    import lightgbm

    def table(columns: Columns) -> Floats:
        return np.hstack([columns.ids, columns.nums]).astype(np.float64)

    categories = list(range(train.ids.shape[1]))
    best, found = np.inf, np.empty(0)
    for trees in TREES:
        learned = lightgbm.Dataset(table(train), train.label, categorical_feature=categories)
        model = lightgbm.train(
            {"objective": "binary", "learning_rate": 0.03, "seed": 1, "verbose": -1, **trees},
            learned,
            num_boost_round=MOST_TREES,
            valid_sets=[learned.create_valid(table(held_out), held_out.label)],
            callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
        )
        loss = float(
            log_loss(held_out.label.astype(np.float64), model.predict(table(held_out))).sum()
        )
        if loss < best:
            best, found = loss, np.asarray(model.predict(table(judged)))
    return found


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


def _fit(inputs: sparse.csr_matrix, label: Floats, penalty: float) -> Floats:
    """Weights of a logistic regression; the intercept, the first one, is not penalised."""
    back = inputs.T.tocsr()
    pull = np.full(inputs.shape[1], penalty)
    pull[0] = 0.0

    def loss(weights: Floats) -> tuple[float, Floats]:
        score = inputs @ weights
        value = np.logaddexp(0.0, score).sum() - label @ score + 0.5 * pull @ weights**2
        return float(value), back @ (expit(score) - label) + pull * weights

    start = np.zeros(inputs.shape[1])
    start[0] = logit(label.mean())
    found: Floats = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 300}).x
    return found


if __name__ == "__main__":
    main()
