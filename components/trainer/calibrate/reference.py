"""The logistic regression that a network has to beat, calibrated as the network is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from components.trainer.calibrate.calibrator import NONE, Calibrator, fit_on
from components.trainer.loop.loop import Splits
from components.trainer.network.wide import WideTower
from components.trainer.settings import Recipe
from components.trainer.wide.fit import fit_logistic


@dataclass(frozen=True)
class Reference:
    """A fitted reference.

    Attributes:
      tower: a ridge-penalised logistic regression on ids and numbers of the hard training examples.
      calibrator: fitted on the hard calibration examples by the network's own method, if any.
      record: `penalty`, and `calibration` as `Fitted.record`.
    """

    tower: WideTower
    calibrator: Calibrator | None
    record: dict[str, Any]


def fit_reference(splits: Splits, recipe: Recipe) -> Reference:
    """Fits it on every hard training example, whatever the network's sampling leaves out."""
    hard, later = (c.take(c.hard) for c in (splits.train, splits.calibration))
    weights, penalty = fit_logistic(hard, splits.layout, recipe.model.wide)
    tower = WideTower(splits.layout, scope="logistic")
    tower.take(weights, 0)
    training = recipe.training
    if training.calibration.method == NONE:
        return Reference(tower, None, {"penalty": penalty, "calibration": None})
    z = np.concatenate([tower(block.ids, block.nums).numpy() for _, block in later.blocks()])
    fitted = fit_on(z, later, training.calibration)
    return Reference(tower, fitted.calibrator, {"penalty": penalty, "calibration": fitted.record})
