"""The side a setup truly has on a day: by the simulator's truth, or by what came later."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.optimize import minimize
from scipy.special import betainc, betaln

from common.arrays import Floats
from common.days import to_date
from common.pages.text import counted
from labs.simulator.log.truth import read_setups
from labs.simulator.simulate import SETUPS
from labs.stability_lab.log.cells import LabLog
from schemas.errors import InputError

Choice = Literal["auto", "truth", "hindsight"]


class Judge(Protocol):
    """Knows the true side of cells.

    Attributes:
      name: for reports.
    """

    name: str

    def hard(self, alpha: float) -> Floats:
        """float64 [n]: probability that the CVR is at most alpha, NaN where it cannot tell."""


class TrueSides:
    """The simulator's own CVR of each setup and day."""

    name = "truth"

    def __init__(self, cvr: Floats) -> None:
        self._cvr = cvr

    def hard(self, alpha: float) -> Floats:
        return (self._cvr <= alpha).astype(np.float64)


class Hindsight:
    """The clicks from the day on, which the decision of the day cannot have seen.

    CVRs of a category's setups are taken as Beta(a, b), fitted to all its mature clicks; c
    conversions of n mature clicks within `horizon` days make Beta(a + c, b + n - c) of it. To
    name a side only where the clicks are decisive would be biased: twenty clicks can show that a
    setup is soft, but it takes hundreds to show that it is hard.
    """

    name = "hindsight"

    def __init__(self, log: LabLog, horizon: int) -> None:
        self._clicks, self._conversions = _ahead(log, horizon)
        names, category = np.unique(log.setups.category, return_inverse=True)
        totals = _mature_totals(log)
        fitted = np.array(
            [fit_beta(*(values[category == i] for values in totals)) for i in range(len(names))]
        )
        self._a, self._b = fitted[category[log.cells.setup]].T

    def hard(self, alpha: float) -> Floats:
        missed = self._clicks - self._conversions
        hard = betainc(self._a + self._conversions, self._b + missed, alpha)
        return np.where(self._clicks > 0, hard, np.nan)


def choose_judge(log: LabLog, root: Path, choice: Choice, horizon: int) -> Judge:
    """The simulator's truth where it lies beside the log, hindsight otherwise.

    Raises:
      InputError: the truth is asked for and is not there, or it is of another log.
    """
    there = (root / SETUPS).is_file()
    if choice == "hindsight" or (choice == "auto" and not there):
        return Hindsight(log, horizon)
    return TrueSides(_true_cvr(log, root))


def _true_cvr(log: LabLog, root: Path) -> Floats:
    truth = read_setups(root)
    days = log.as_of - log.first_day + 1
    known = pc.index_in(truth["setup_id"], value_set=pa.array(log.setups.ids, pa.string()))
    day = truth["date"].cast("int32").to_numpy() - log.first_day
    setup = pc.fill_null(known, -1).to_numpy()
    kept = (setup >= 0) & (day >= 0) & (day < days)
    table = np.full((len(log.setups.ids), days), np.nan)
    table[setup[kept], day[kept]] = truth["cvr"].to_numpy()[kept]
    cvr: Floats = table[log.cells.setup, log.cells.day - log.first_day]
    if np.isnan(cvr).any():
        i = int(np.isnan(cvr).argmax())
        raise InputError(
            f"{root / SETUPS}: no true CVR of setup {log.setups.ids[log.cells.setup[i]]!r} on "
            f"{to_date(log.cells.day[i])}; wanted one for every setup and day with clicks"
        )
    return cvr


def _ahead(log: LabLog, horizon: int) -> tuple[Floats, Floats]:
    """Mature clicks, and conversions of them, of the cell's day and the days after it."""
    cells, mature = log.cells, log.mature
    # Setups are laid end to end on one axis, far enough apart that no window reaches the next.
    stretch = log.as_of - log.first_day + horizon + 1
    place = cells.setup * stretch + cells.day - log.first_day
    end = np.searchsorted(place, place + horizon)
    start = np.arange(len(cells))
    sums = []
    for values in (cells.clicks, cells.conversions):
        total = np.append(0.0, np.cumsum(np.where(mature, values, 0), dtype=np.float64))
        sums.append(total[end] - total[start])
    return sums[0], sums[1]


def _mature_totals(log: LabLog) -> tuple[Floats, Floats]:
    """Mature clicks and their conversions by setup."""
    cells, setups = log.cells, len(log.setups.ids)
    clicks, conversions = (
        np.bincount(cells.setup, np.where(log.mature, values, 0), setups).astype(np.float64)
        for values in (cells.clicks, cells.conversions)
    )
    return clicks, conversions


def first_evaluated(log: LabLog, warmup_days: int) -> int:
    """The first day that counts, after the warm-up.

    Raises:
      InputError: the warm-up leaves no click.
    """
    day = log.first_day + warmup_days
    if not (log.cells.day >= day).any():
        raise InputError(
            f"warmup: {counted(warmup_days, 'day')} from {to_date(log.first_day)}, and no click "
            f"from then on before {to_date(log.as_of)}; wanted a shorter warm-up or a "
            "longer window_days"
        )
    return day


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
    fit = minimize(loss, start, method="L-BFGS-B", bounds=LIMITS)
    a, b = np.exp(fit.x)
    return float(a), float(b)
