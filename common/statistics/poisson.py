"""How far a sum of predictions may lie from the few conversions that came."""

from __future__ import annotations

import numpy as np
from scipy.stats import chi2

from common.arrays import Floats, Ints

LARGEST_LEVERAGE = 0.9
"""Beyond, a setup nearly is the whole: its own residual says nothing."""


def level_interval(
    observed: Floats, expected: Floats, setup: Ints, tail: float
) -> tuple[float, float]:
    """Interval of expected over observed conversions, had the same clicks been drawn again.

    Garwood's for a Poisson count (Biometrika 28, 1936): k conversions have an expectation between
    chi2(t; 2k) / 2 and chi2(1 - t; 2k + 2) / 2. Conversions of one setup come together, so that k
    and the expectation are first divided by the factor by which their variance over setups exceeds
    a Poisson's,

        phi = max(1, sum_u ((y_u - r p_u) / (1 - h_u))^2 / sum_u y_u),
        r = sum_u y_u / sum_u p_u,    h_u = p_u / sum_v p_v,

    y_u and p_u being what was observed and expected of setup u. A setup pulls r towards itself by
    its leverage h_u, which hides a part of its own variance (the HC3 of MacKinnon and White,
    Journal of Econometrics 29, 1985).

    >>> [round(x, 2) for x in level_interval(np.ones(7), np.full(7, 10 / 7), np.arange(7), 0.025)]
    [0.69, 3.55]

    Args:
      observed: conversions [n], 0 or 1 each.
      expected: conversions that were expected of each, [n].
      setup: the setup's number, [n].
      tail: probability of either side.

    Returns:
      Low and high; `high` is infinite where no conversion came, both are NaN without examples.
    """
    if not len(observed):
        return float("nan"), float("nan")
    phi = _clustering(observed, expected, setup)
    count, total = observed.sum() / phi, expected.sum() / phi
    most = float(chi2.ppf(1.0 - tail, 2.0 * count + 2.0)) / 2.0
    least = float(chi2.ppf(tail, 2.0 * count)) / 2.0 if count > 0.0 else 0.0
    return float(total / most), float(total / least) if least > 0.0 else float("inf")


def _clustering(observed: Floats, expected: Floats, setup: Ints) -> float:
    """phi of `level_interval`; 1 where nothing was observed, or nothing expected."""
    _, number = np.unique(setup, return_inverse=True)
    y, p = np.bincount(number, observed), np.bincount(number, expected)
    if not y.sum() > 0.0 or not p.sum() > 0.0:
        return 1.0
    leverage = np.minimum(p / p.sum(), LARGEST_LEVERAGE)
    residual = (y - y.sum() / p.sum() * p) / (1.0 - leverage)
    return max(1.0, float((residual**2).sum() / y.sum()))
