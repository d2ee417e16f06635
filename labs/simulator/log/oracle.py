"""The ceiling: how well the true probabilities themselves score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata


@dataclass(frozen=True)
class Oracle:
    """Scores of the true probabilities; no model can beat them but by luck.

    Attributes:
      rig: relative information gain (paper, equation 2), gamma being the examples' mean label.
      auc: area under the ROC curve, ties counting half.
      examples, positives: what they were computed on.

    `rig` and `auc` are NaN where the labels are all alike.
    """

    rig: float
    auc: float
    examples: int
    positives: int


def oracle(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> Oracle:
    """Scores true probabilities, [n], against labels, [n], 0 or 1.

    Raises:
      ValueError: the lengths differ, a label is not 0 or 1, or a probability is not in (0, 1).
    """
    y = np.asarray(labels, dtype=np.float64)
    p = np.asarray(probabilities, dtype=np.float64)
    if y.shape != p.shape or y.ndim != 1:
        raise ValueError(f"labels {y.shape} and probabilities {p.shape}; wanted two equal lengths")
    if not np.isin(y, (0.0, 1.0)).all():
        raise ValueError("labels: wanted 0 and 1 only")
    if not ((p > 0) & (p < 1)).all():
        raise ValueError("probabilities: wanted all of them strictly between 0 and 1")
    positives = int(y.sum())
    negatives = len(y) - positives
    if not positives or not negatives:
        return Oracle(float("nan"), float("nan"), len(y), positives)
    gamma = positives / len(y)
    entropy = -gamma * np.log(gamma) - (1 - gamma) * np.log1p(-gamma)
    log_loss = -np.where(y == 1, np.log(p), np.log1p(-p)).mean()
    # Mann-Whitney: the rank sum of the positives less its least possible value.
    rank_sum = rankdata(p)[y == 1].sum() - positives * (positives + 1) / 2
    auc = rank_sum / (positives * negatives)
    return Oracle(float(1 - log_loss / entropy), float(auc), len(y), positives)
