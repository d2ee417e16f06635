"""What falls on which side as alpha moves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from common.arrays import Bools
from components.task_labeler.settings import LabellingSettings
from labs.stability_lab.log.cells import LabLog, Progress
from labs.stability_lab.log.judge import Judge
from labs.stability_lab.replay.frontier import ALPHA_STEP
from labs.stability_lab.replay.measures import Measures, flips_of, measure, weighted_share
from labs.stability_lab.replay.replay import Replay, changed, replay

FACTORS = (0.25, 0.5, 0.75, 1.5, 2.0, 4.0)
"""Alphas looked at by default, as multiples of the chosen one."""


@dataclass(frozen=True)
class Part:
    """One category, advertiser type or both, at one alpha; None stands for all.

    Attributes:
      setups: setups with clicks.
      hard_setups: of these, setups on the hard side on the last day that they had clicks.
      hard_clicks, hard_conversions: numbers, not shares.
      flips: changes of side between days with clicks.
    """

    category: str | None
    advertiser_type: str | None
    setups: int
    clicks: int
    conversions: int
    hard_setups: int
    hard_clicks: int
    hard_conversions: int
    flips: int
    spend: float | None
    hard_spend: float | None


@dataclass(frozen=True)
class AlphaRow:
    """One alpha.

    Attributes:
      moved_clicks, moved_spend: share on another side than at the chosen alpha.
      moved_setups: setups on another side on some day.
    """

    alpha: float
    chosen: bool
    measures: Measures
    moved_clicks: float | None
    moved_spend: float | None
    moved_setups: int
    parts: list[Part]


def default_alphas(alpha: float) -> tuple[float, ...]:
    """Multiples of alpha, and alpha give or take `ALPHA_STEP`; those in (0, 1), sorted."""
    near = (alpha - ALPHA_STEP, alpha, alpha + ALPHA_STEP, *(alpha * f for f in FACTORS))
    return tuple(sorted({float(f"{a:.6g}") for a in near if 0 < a < 1}))


def study_alpha(
    log: LabLog,
    settings: LabellingSettings,
    alphas: Sequence[float],
    judge: Judge,
    scope: Bools,
    progress: Progress | None = None,
    each: Callable[[float, Replay], None] | None = None,
) -> list[AlphaRow]:
    """Replays the log at each alpha and at the configured one; rows by rising alpha.

    Args:
      scope: bool [n], cells that count.
      each: called with every alpha and its replay.
    """
    chosen = replay(log, settings)
    others = sorted({a for a in alphas if abs(a - settings.alpha) > 1e-12} | {settings.alpha})
    rows = []
    for number, alpha in enumerate(others, 1):
        tried = changed(settings, alpha=alpha)
        decided = chosen if tried == settings else replay(log, tried)
        moved = scope & (decided.hard != chosen.hard)
        rows.append(
            AlphaRow(
                alpha,
                tried == settings,
                measure(log.cells, decided, judge.hard(alpha), scope),
                weighted_share(log.cells.clicks, moved, scope),
                weighted_share(log.cells.spend, moved, scope),
                len(np.unique(log.cells.setup[moved])),
                _parts(log, decided, scope),
            )
        )
        if each is not None:
            each(alpha, decided)
        if progress is not None:
            progress(number, len(others))
    return rows


def _parts(log: LabLog, decided: Replay, scope: Bools) -> list[Part]:
    """All, each category, each advertiser type, each pair that occurs."""
    category, kind = log.setups.category, log.setups.advertiser_type
    keys: list[tuple[str | None, str | None]] = [(None, None)]
    keys += [(c, None) for c in sorted(set(category))]
    keys += [(None, k) for k in sorted(set(kind))]
    keys += sorted(set(zip(category, kind, strict=True)))
    of_category, of_kind = np.array(category), np.array(kind)
    parts = []
    for c, k in keys:
        setups = np.ones(len(category), bool)
        if c is not None:
            setups &= of_category == c
        if k is not None:
            setups &= of_kind == k
        cells = scope & setups[log.cells.setup]
        if cells.any():
            parts.append(_part(log, decided, cells, c, k))
    return parts


def _part(log: LabLog, decided: Replay, scope: Bools, c: str | None, k: str | None) -> Part:
    cells, hard = log.cells, decided.hard & scope
    flips = flips_of(cells, decided.hard) & scope
    places = np.flatnonzero(scope)
    last = np.append(cells.setup[places][1:] != cells.setup[places][:-1], True)
    return Part(
        category=c,
        advertiser_type=k,
        setups=int(last.sum()),
        clicks=int(cells.clicks[scope].sum()),
        conversions=int(cells.conversions[scope].sum()),
        hard_setups=int(hard[places[last]].sum()),
        hard_clicks=int(cells.clicks[hard].sum()),
        hard_conversions=int(cells.conversions[hard].sum()),
        flips=int(flips.sum()),
        spend=None if cells.spend is None else float(cells.spend[scope].sum()),
        hard_spend=None if cells.spend is None else float(cells.spend[hard].sum()),
    )
