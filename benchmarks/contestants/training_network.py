"""The network of the training race as this project's settings say it."""

from __future__ import annotations

from benchmarks.contestants import training_task as race
from components.trainer.settings import ModelSettings
from components.transform.layout import FeatureLayout


def layout(rows: tuple[int, ...] = race.TABLE_ROWS) -> FeatureLayout:
    """Of the race's examples; half of its numbers stand for missing flags."""
    return FeatureLayout(
        categorical=tuple(f"c{i}" for i in range(len(rows))),
        rows=rows,
        widths=(race.WIDTH,) * len(rows),
        numeric=tuple(f"n{i}" for i in range(race.NUMBERS // 2)),
    )


def model(cross_rank: int | None = None) -> ModelSettings:
    """The race's network."""
    return ModelSettings(
        cross_layers=race.SHARED_CROSS + race.TOWER_CROSS,
        cross_rank=cross_rank,
        hidden_units=race.HIDDEN,
        shared_layers=race.SHARED_CROSS,
    )
