"""Alpha x band x half-life: how much stability costs in wrong sides."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from common.arrays import Bools
from components.task_labeler.settings import LabellingSettings
from labs.stability_lab.log.cells import LabLog, Progress
from labs.stability_lab.log.judge import Judge
from labs.stability_lab.replay.measures import Measures, measure
from labs.stability_lab.replay.replay import changed, replay

ALPHA_STEP = 0.005
"""Half a percentage point of CVR to either side of the chosen alpha."""


@dataclass(frozen=True)
class Point:
    """One combination.

    Attributes:
      chosen: it is the configured one.
      efficient: no other point of its alpha has both fewer flips and fewer wrong clicks.
    """

    alpha: float
    band: float
    half_life_days: float
    chosen: bool
    measures: Measures
    efficient: bool = False


@dataclass(frozen=True)
class Grid:
    """Values to combine."""

    alphas: tuple[float, ...]
    bands: tuple[float, ...]
    half_lives: tuple[float, ...]

    @classmethod
    def around(
        cls,
        settings: LabellingSettings,
        alphas: Sequence[float] = (),
        bands: Sequence[float] = (),
        half_lives: Sequence[float] = (),
    ) -> Grid:
        """The values given, or some around the configured ones, which are always among them."""
        alpha, h = settings.alpha, settings.half_life_days
        near = [a for a in (alpha - ALPHA_STEP, alpha + ALPHA_STEP) if 0 < a < 1]
        return cls(
            _with(alphas or near, alpha),
            _with(bands or (0.0, 0.1, 0.2, 0.4), settings.band),
            _with(half_lives or (h / 2, 2 * h, 4 * h), h),
        )

    def __len__(self) -> int:
        return len(self.alphas) * len(self.bands) * len(self.half_lives)


def frontier(
    log: LabLog,
    settings: LabellingSettings,
    grid: Grid,
    judge: Judge,
    scope: Bools,
    progress: Progress | None = None,
) -> list[Point]:
    """Replays every combination; the other settings stay as they are."""
    points = []
    product = itertools.product(grid.alphas, grid.bands, grid.half_lives)
    for number, (alpha, band, half_life) in enumerate(product, 1):
        tried = changed(settings, alpha=alpha, band=band, half_life_days=half_life)
        measures = measure(log.cells, replay(log, tried), judge.hard(alpha), scope)
        points.append(Point(alpha, band, half_life, tried == settings, measures))
        if progress is not None:
            progress(number, len(grid))
    return [replace(p, efficient=_efficient(p, points)) for p in points]


def _efficient(point: Point, points: list[Point]) -> bool:
    """Whether no point of the same alpha is at least as good in both and better in one."""
    own = _costs(point)
    rivals = [_costs(p) for p in points if p.alpha == point.alpha]
    return not any(r[0] <= own[0] and r[1] <= own[1] and r != own for r in rivals)


def _costs(point: Point) -> tuple[float, float]:
    wrong = point.measures.wrong_clicks
    return float(point.measures.flips), float("inf") if wrong is None else wrong


def _with(values: Sequence[float], configured: float) -> tuple[float, ...]:
    """The values and the configured one, sorted; those that all but equal it are left out."""
    others = [v for v in values if abs(v - configured) > 1e-12]
    return tuple(sorted({*others, configured}))
