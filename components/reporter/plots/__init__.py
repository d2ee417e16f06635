"""Figures of the report: plain data in, an inline SVG element out."""

from components.reporter.plots.assignment import assignment_by_day, cvr_distribution, flips_by_day
from components.reporter.plots.drift import cvr_changes, feature_distances
from components.reporter.plots.gradients import gradient_conflict
from components.reporter.plots.quality import (
    MODEL_LOOKS,
    CalibrationPoint,
    calibration_curve,
)
from components.reporter.plots.training import loss_curves

__all__ = [
    "MODEL_LOOKS",
    "CalibrationPoint",
    "assignment_by_day",
    "calibration_curve",
    "cvr_changes",
    "cvr_distribution",
    "feature_distances",
    "flips_by_day",
    "gradient_conflict",
    "loss_curves",
]
