"""Log loss and AUC, in NumPy, for the training loop's looks at the calibration split."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata


def log_loss(logit: npt.NDArray[np.float32], label: npt.NDArray[np.float32]) -> float:
    """Mean log loss of logits [n] against labels 0 or 1 [n], n > 0, nats."""
    z = logit.astype(np.float64)
    return float(np.mean(np.logaddexp(0.0, z) - label * z))


def auc(score: npt.NDArray[np.float32], label: npt.NDArray[np.float32]) -> float | None:
    """Area under the ROC curve, ties counting one half; none unless both labels occur.

    Source: Hanley and McNeil, Radiology 143(1), 1982: the chance that a positive example scores
    above a negative one.
    """
    positive = label > 0.5
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if positives == 0 or negatives == 0:
        return None
    rank_sum = float(rankdata(score)[positive].sum())
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)
