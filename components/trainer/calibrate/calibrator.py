"""Calibration of the served tower after training."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from scipy.special import expit, logit

from components.trainer.calibrate.isotonic import Isotonic, fit_isotonic
from components.trainer.calibrate.platt import Platt, fit_platt
from components.trainer.data.columns import Columns
from components.trainer.network.network import TwoTowerDCN
from components.trainer.settings import CalibrationSettings, ModelSettings
from components.trainer.step.metrics import calibration_error, log_loss
from components.trainer.step.scoring import TowerScorer
from schemas.errors import InputError

Calibrator = Platt | Isotonic

LOWEST, HIGHEST = 1e-12, 1 - 2.0**-24
"""Calibrated predictions stay inside; the upper one is the last float32 below 1."""

NONE = "none"


@dataclass(frozen=True)
class Fitted:
    """A calibrator and what it was fitted on.

    Attributes:
      calibrator: the function.
      record: `method`, its parameters (`slope` and `intercept`, or the knots' log-odds
        `predicted` and `observed`), `examples` and `conversions` that it was fitted on, and
        `before` and `after` it on the same: `log_loss` (nats), `ratio` (predicted over observed
        conversions) and `error` (expected calibration error).
    """

    calibrator: Calibrator
    record: dict[str, Any]


def check_calibration(
    columns: Columns, model: ModelSettings, settings: CalibrationSettings
) -> None:
    """Refuses a calibration split that no calibrator can be fitted on.

    Raises:
      InputError: the examples to fit on have no conversion, or nothing else.
    """
    if settings.method == NONE:
        return
    examples = _examples(columns, model, settings)
    conversions = int(examples.label.sum())
    if not 0 < conversions < len(examples):
        raise InputError(
            f"training.calibration.method {settings.method}: {conversions} of the "
            f"{len(examples)} calibration examples to fit on converted; wanted some that did and "
            "some that did not (use a longer calibration period, or method none)"
        )


def fit_calibrator(
    network: TwoTowerDCN, columns: Columns, settings: CalibrationSettings, batch_size: int
) -> Fitted | None:
    """Fits the settings' calibrator on a trained network's serving tower.

    Args:
      network: trained.
      columns: the calibration split, as `check_calibration` lets through.
      settings: method and examples.
      batch_size: examples scored by one call.

    Returns:
      None when the method is `none`.
    """
    if settings.method == NONE:
        return None
    examples = _examples(columns, network.settings, settings)
    z = TowerScorer(network, network.serving_tower, batch_size).logits(examples).astype(np.float64)
    label = examples.label.astype(np.float64)
    weight = np.ones_like(z) if examples.weight is None else examples.weight.astype(np.float64)
    calibrator: Calibrator
    if settings.method == "platt":
        calibrator = fit_platt(z, label, weight)
    else:
        calibrator = fit_isotonic(z, label, weight, settings.min_conversions)
    record = {
        "method": calibrator.method,
        **asdict(calibrator),
        "examples": len(examples),
        "conversions": int(label.sum()),
        "before": _quality(expit(z), label, weight),
        "after": _quality(calibrator.probability(z), label, weight),
    }
    return Fitted(calibrator, record)


def probability(z: tf.Tensor, calibrator: Calibrator | None) -> tf.Tensor:
    """Probabilities of logits, float32 [n]; calibrated ones are inside [LOWEST, HIGHEST]."""
    if calibrator is None:
        return tf.sigmoid(z)
    calibrated = calibrator.graph(tf.cast(z, tf.float64))
    return tf.cast(tf.clip_by_value(calibrated, LOWEST, HIGHEST), tf.float32)


def _examples(columns: Columns, model: ModelSettings, settings: CalibrationSettings) -> Columns:
    """The examples to fit on that weigh something."""
    wanted = np.ones(len(columns), bool) if columns.weight is None else columns.weight > 0
    if settings.examples == "hard" or model.mode != "one_task":
        wanted &= columns.hard
    return columns.take(wanted)


def _quality(
    p: npt.NDArray[np.float64], label: npt.NDArray[np.float64], weight: npt.NDArray[np.float64]
) -> dict[str, float]:
    return {
        "log_loss": log_loss(logit(np.clip(p, LOWEST, HIGHEST)), label, weight),
        "ratio": float(np.sum(weight * p) / np.sum(weight * label)),
        "error": calibration_error(p, label, weight),
    }
