"""Calibration of the towers after training."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from scipy.special import expit, logit

from common.arrays import Floats, Floats32
from components.trainer.calibrate.isotonic import Isotonic, fit_isotonic
from components.trainer.calibrate.platt import Level, Platt, fit_level, fit_platt
from components.trainer.data.columns import Columns, task_numbers
from components.trainer.network.network import TwoTowerDCN
from components.trainer.settings import ALL, CalibrationSettings, ModelSettings
from components.trainer.step.metrics import calibration_error, log_loss
from components.trainer.step.scoring import TowerScorer
from components.trainer.wide.likelihood import observed_logit
from schemas.errors import InputError

Calibrator = Level | Platt | Isotonic

LOWEST, HIGHEST = 1e-12, 1 - 2.0**-24
"""Calibrated predictions stay inside; the upper one is the last float32 below 1."""

NONE = "none"


@dataclass(frozen=True)
class Fitted:
    """A calibrator and what it was fitted on.

    Attributes:
      calibrator: the function.
      record: `method`, its parameters (`intercept`, `slope` too, or the knots' log-odds `predicted`
        and `observed`), `examples` and `conversions` that it was fitted on, and `before` and
        `after` it on the same: `log_loss` (nats), `ratio` (predicted over observed conversions,
        none without any) and `error` (expected calibration error).
    """

    calibrator: Calibrator
    record: dict[str, Any]


def check_calibration(
    columns: Columns, model: ModelSettings, settings: CalibrationSettings
) -> None:
    """Refuses a calibration split that no calibrator can be fitted on.

    Raises:
      InputError: the examples to fit on have no conversion, or nothing else, and the method needs
        both.
    """
    if settings.method in (NONE, Level.method):
        return
    examples = _examples(columns, model, model.towers[0], settings)
    conversions = int(examples.label.sum())
    if not 0 < conversions < len(examples):
        raise InputError(
            f"training.calibration.method {settings.method}: {conversions} of the "
            f"{len(examples)} calibration examples to fit on converted; wanted some that did and "
            "some that did not (use a longer calibration period, or method level)"
        )


def fit_calibrators(
    network: TwoTowerDCN, columns: Columns, settings: CalibrationSettings, batch_size: int
) -> dict[str, Fitted]:
    """Fits the settings' calibrators on a trained network's towers.

    Args:
      network: trained.
      columns: the calibration split, as `check_calibration` lets through.
      settings: method and examples.
      batch_size: examples scored by one call.

    Returns:
      By tower: every one that has examples under `level`, else the serving one; empty when the
      method is `none`.
    """
    if settings.method == NONE:
        return {}
    every = settings.method == Level.method
    fits = {}
    for tower in network.settings.towers if every else (network.serving_tower,):
        examples = _examples(columns, network.settings, tower, settings)
        if len(examples):
            z = TowerScorer(network, tower, batch_size).logits(examples)
            fits[tower] = fit_on(z, examples, settings)
    return fits


def fit_on(z: Floats32, columns: Columns, settings: CalibrationSettings) -> Fitted:
    """Fits a calibrator, of a method other than `none`, on logits [n] of n examples."""
    logits, seen = z.astype(np.float64), _Seen.of(columns)
    calibrator = _fit(logits, seen, settings)
    record = {
        "method": calibrator.method,
        **asdict(calibrator),
        "examples": len(logits),
        "conversions": int(seen.label.sum()),
        "before": _quality(expit(logits), seen),
        "after": _quality(calibrator.probability(logits), seen),
    }
    return Fitted(calibrator, record)


class _Seen(NamedTuple):
    """Labels, weights and completeness as calibrators take them, float64 [n]."""

    label: Floats
    weight: Floats
    completeness: Floats | None

    @classmethod
    def of(cls, columns: Columns) -> _Seen:
        weight = np.ones(len(columns)) if columns.weight is None else columns.weight
        completeness = columns.completeness
        return cls(
            columns.label.astype(np.float64),
            weight.astype(np.float64),
            None if completeness is None else completeness.astype(np.float64),
        )


def _fit(z: Floats, seen: _Seen, settings: CalibrationSettings) -> Calibrator:
    if settings.method == Level.method:
        return fit_level(z, *seen, settings.prior_conversions)
    if settings.method == Platt.method:
        return fit_platt(z, *seen)
    return fit_isotonic(z, seen.label, seen.weight, settings.min_conversions, seen.completeness)


def probability(z: tf.Tensor, calibrator: Calibrator | None) -> tf.Tensor:
    """Probabilities of logits, float32 [n]; calibrated ones are inside [LOWEST, HIGHEST]."""
    if calibrator is None:
        return tf.sigmoid(z)
    calibrated = calibrator.graph(tf.cast(z, tf.float64))
    return tf.cast(tf.clip_by_value(calibrated, LOWEST, HIGHEST), tf.float32)


def _examples(
    columns: Columns, model: ModelSettings, tower: str, settings: CalibrationSettings
) -> Columns:
    """The examples to fit a tower's calibrator on that weigh something."""
    number = task_numbers(columns, model.tier_boundaries)
    mine = [i for i, task in enumerate(model.tasks) if tower in (task, ALL)]
    wanted = np.isin(number, mine)
    if columns.weight is not None:
        wanted &= columns.weight > 0
    if settings.examples == "hard" and tower == ALL:
        wanted &= columns.hard
    return columns.take(wanted)


def _quality(p: Floats, seen: _Seen) -> dict[str, float | None]:
    z = logit(np.clip(p, LOWEST, HIGHEST))
    if seen.completeness is not None:
        z = observed_logit(z, seen.completeness)
    q, conversions = expit(z), np.sum(seen.weight * seen.label)
    return {
        "log_loss": log_loss(z, seen.label, seen.weight),
        "ratio": float(np.sum(seen.weight * q) / conversions) if conversions else None,
        "error": calibration_error(q, seen.label, seen.weight),
    }
