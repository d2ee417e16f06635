"""What a replay did to the traffic: flips, churn, and sides that were wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.arrays import Bools, Floats, Ints
from labs.stability_lab.log.cells import Cells
from labs.stability_lab.replay.replay import Replay


@dataclass(frozen=True)
class Measures:
    """Sums over setup-days: days on which a setup had clicks. Shares are of `clicks` or spend,
    None where there is nothing to divide by or the log has no spend.

    Attributes:
      setup_days, setups, clicks: what was looked at.
      flips: setup-days whose side differs from the setup's previous day with clicks.
      online_flips: the same of the routing table's side.
      restless_setups: setups with a flip.
      churned_clicks, churned_spend: share on the day of a flip.
      restless_clicks, restless_spend: share on setups with a flip.
      hard_clicks, hard_conversions: share on the hard side.
      apart_clicks: share trained on one side and routed to the other.
      judged_clicks: share whose true side is known.
      wrong_clicks, wrong_spend: share of what was judged that was on the wrong side, expected
        where the judge gives a probability.
      soft_as_hard, hard_as_soft: the two kinds of `wrong_clicks`.
      true_flips: flips of the true side itself, None where it is not known for certain.
    """

    setup_days: int
    setups: int
    clicks: int
    flips: int
    online_flips: int
    restless_setups: int
    churned_clicks: float | None
    churned_spend: float | None
    restless_clicks: float | None
    restless_spend: float | None
    hard_clicks: float | None
    hard_conversions: float | None
    apart_clicks: float | None
    judged_clicks: float | None
    wrong_clicks: float | None
    wrong_spend: float | None
    soft_as_hard: float | None
    hard_as_soft: float | None
    true_flips: int | None

    @property
    def flip_rate(self) -> float | None:
        """Flips a setup-day."""
        return self.flips / self.setup_days if self.setup_days else None


def flips_of(cells: Cells, hard: Bools | Floats) -> Bools:
    """Bool [n], whether the side differs from the setup's previous cell."""
    changed = np.zeros(len(cells), bool)
    changed[1:] = hard[1:] != hard[:-1]
    return changed & ~cells.first_of_setup


def measure(cells: Cells, decided: Replay, truth: Floats, scope: Bools) -> Measures:
    """Measures of the cells in `scope`, bool [n]; a flip may look back at a cell before it.

    Args:
      truth: float64 [n], see `judge.Judge.hard`.
    """
    flips = flips_of(cells, decided.hard) & scope
    restless = np.isin(cells.setup, np.unique(cells.setup[flips])) & scope
    judged = scope & ~np.isnan(truth)
    soft_as_hard = np.where(judged & decided.hard, 1 - truth, 0.0)
    hard_as_soft = np.where(judged & ~decided.hard, truth, 0.0)
    wrong = soft_as_hard + hard_as_soft
    certain = bool(np.isin(truth, (0.0, 1.0)).all())
    clicks, spend = cells.clicks, cells.spend
    return Measures(
        setup_days=int(scope.sum()),
        setups=len(np.unique(cells.setup[scope])),
        clicks=int(clicks[scope].sum()),
        flips=int(flips.sum()),
        online_flips=int((flips_of(cells, decided.online_hard) & scope).sum()),
        restless_setups=len(np.unique(cells.setup[flips])),
        churned_clicks=weighted_share(clicks, flips, scope),
        churned_spend=weighted_share(spend, flips, scope),
        restless_clicks=weighted_share(clicks, restless, scope),
        restless_spend=weighted_share(spend, restless, scope),
        hard_clicks=weighted_share(clicks, decided.hard & scope, scope),
        hard_conversions=weighted_share(cells.conversions, decided.hard & scope, scope),
        apart_clicks=weighted_share(clicks, (decided.hard != decided.online_hard) & scope, scope),
        judged_clicks=weighted_share(clicks, judged, scope),
        wrong_clicks=weighted_share(clicks, wrong, judged),
        wrong_spend=weighted_share(spend, wrong, judged),
        soft_as_hard=weighted_share(clicks, soft_as_hard, judged),
        hard_as_soft=weighted_share(clicks, hard_as_soft, judged),
        true_flips=int((flips_of(cells, truth) & scope).sum()) if certain else None,
    )


def weighted_share(
    values: Ints | Floats | None, part: Bools | Floats, whole: Bools
) -> float | None:
    """Sum of the values weighted by `part`, [n] in [0, 1], as a share of that over `whole`; None
    of nothing."""
    if values is None:
        return None
    total = values[whole].sum()
    return float((values * part)[whole].sum() / total) if total else None
