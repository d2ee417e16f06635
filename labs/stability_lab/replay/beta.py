"""The spread of CVRs over setups, as a beta distribution."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import betaln

from common.arrays import Floats

JEFFREYS = (0.5, 0.5)
LIMITS = ((np.log(1e-3), np.log(1e4)), (np.log(1e-3), np.log(1e6)))


def fit_beta(clicks: Floats, conversions: Floats) -> tuple[float, float]:
    """a and b of the beta distribution that setups' CVRs most likely come from.

    Maximises the beta-binomial likelihood, the sum over setups of
    ln B(a + c, b + n - c) - ln B(a, b).

    Args:
      clicks, conversions: float64 [setups], n and c.

    Returns:
      Jeffreys' 1/2, 1/2 when fewer than two setups have clicks or none has a conversion, which
      leaves nothing to fit.
    """
    used = clicks > 0
    n, c = clicks[used], conversions[used]
    if len(n) < 2 or c.sum() == 0 or c.sum() == n.sum():
        return JEFFREYS

    def loss(logs: Floats) -> float:
        a, b = np.exp(logs)
        return -float((betaln(a + c, b + n - c) - betaln(a, b)).sum())

    mean = c.sum() / n.sum()
    start = np.log([2 * mean, 2 * (1 - mean)])
    found = minimize(loss, start, method="L-BFGS-B", bounds=LIMITS)
    a, b = np.exp(found.x)
    return float(a), float(b)
