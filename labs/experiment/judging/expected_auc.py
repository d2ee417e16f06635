"""AUC in expectation over the labels, for logs whose true probabilities are known.

A pair of examples i and j is a conversion before a click without one with probability
p_i (1 - p_j), labels being drawn independently. With q the predictions,

    expected AUC = sum_{i != j} p_i (1 - p_j) ([q_i > q_j] + 1/2 [q_i = q_j])
                   / sum_{i != j} p_i (1 - p_j),

expected pairs in order over expected pairs. An example has one label and makes no pair with
itself, so that i = j is in neither sum. Likewise in a resample, where an example that is drawn
twice has the same label twice: copies of one example make no pairs.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from common.arrays import Bools, Floats, Ints

DENSE = 0.3
"""Share of a matrix that is not zero from which on dense products are quicker."""


ROUNDING = 1e-12
"""Share of the pairs with oneself that the others must exceed to be more than rounding."""


def expected_auc(truth: Floats, prediction: Floats) -> float:
    """Of examples [n], in O(n log n); NaN without a pair or with a prediction that is NaN.

    >>> round(expected_auc(np.array([0.9, 0.1]), np.array([0.8, 0.2])), 3)
    0.988

    Args:
      truth: probability that the example's label is 1.
    """
    rank = np.unique(prediction, return_inverse=True)[1]
    up, down = np.bincount(rank, truth), np.bincount(rank, 1.0 - truth)
    own = truth @ (1.0 - truth)
    wins = up @ (np.cumsum(down) - 0.5 * down) - 0.5 * own
    pairs = truth.sum() * (1.0 - truth).sum() - own
    defined = pairs > ROUNDING * own and np.isfinite(prediction).all()
    return float(wins / pairs) if defined else float("nan")


class ResampledExpectedAuc:
    """Expected AUC when every setup counts as often as it was drawn.

    The expected wins are a quadratic form of the draw counts, whose matrix [setups, setups] has
    the wins of each setup's conversions over each setup's other clicks: made once, it serves every
    resample. It takes 8 setups^2 bytes.
    """

    def __init__(self, setup: Ints, clusters: int, truth: Floats, prediction: Floats) -> None:
        """
        Args:
          setup: of each example, in [0, clusters).
        """
        self._up = np.bincount(setup, truth, clusters)
        self._down = np.bincount(setup, 1.0 - truth, clusters)
        self._own = np.bincount(setup, truth * (1.0 - truth), clusters)
        self._defined = bool(np.isfinite(prediction).all())
        if self._defined and len(prediction):
            self._wins = _wins(setup, clusters, truth, prediction)

    def __call__(self, counts: Ints) -> Floats:
        """Expected AUC [resamples] of draw counts [resamples, setups]; NaN where it is not
        defined."""
        area = np.full(len(counts), np.nan)
        if self._defined and len(self._up):
            drawn = counts.astype(np.float64)
            own = drawn**2 @ self._own
            pairs = (drawn @ self._up) * (drawn @ self._down) - own
            wins = np.einsum("rs,rs->r", drawn @ self._wins, drawn) - 0.5 * own
            np.divide(wins, pairs, out=area, where=pairs > ROUNDING * own)
        return area


def _wins(setup: Ints, clusters: int, truth: Floats, prediction: Floats) -> Floats:
    """Expected wins of the examples of each setup (row) over those of each other one (column),
    ties counting half, an example's tie with itself included.

    Ranks are halved again and again: two that differ become equal in one halving, in which the
    higher one is odd and the lower one even. Each halving gives the wins of its pairs by one
    product of [setups, ranks] with [ranks, setups].
    """
    order = np.argsort(prediction, kind="stable")
    setup, truth, prediction = setup[order], truth[order], prediction[order]
    rank = np.concatenate([[0], np.cumsum(np.diff(prediction) > 0)])
    everyone = np.ones(len(rank), bool)
    wins = 0.5 * _won(setup, clusters, truth, rank, everyone, everyone)
    while rank[-1] > 0:
        odd, rank = rank % 2 == 1, rank // 2
        wins += _won(setup, clusters, truth, rank, odd, ~odd)
    return wins


def _won(setup: Ints, clusters: int, truth: Floats, rank: Ints, high: Bools, low: Bools) -> Floats:
    """Expected pairs of a conversion of the high ones and another click of the low ones, both of
    one rank, by setup of each. Arguments [n] are sorted by rank."""

    def by_rank(these: Bools, weight: Floats) -> csr_array:
        ends = np.cumsum(np.bincount(rank[these], minlength=rank[-1] + 1))
        rows = np.concatenate([[0], ends])
        shape = (len(ends), clusters)
        return csr_array((weight[these], setup[these], rows), shape)

    up, down = by_rank(high, truth), by_rank(low, 1.0 - truth)
    if max(up.nnz, down.nnz) > DENSE * clusters * up.shape[0]:
        dense: Floats = up.toarray().T @ down.toarray()
        return dense
    sparse: Floats = (up.T @ down).toarray()
    return sparse
