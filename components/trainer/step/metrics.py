"""Log loss, AUC and calibration error, in NumPy, of examples that may carry weights."""

from __future__ import annotations

import numpy as np

from common.arrays import AnyFloats
from components.trainer.data.columns import Columns
from components.trainer.wide.likelihood import observed_logit


def log_loss(logit: AnyFloats, label: AnyFloats, weight: AnyFloats | None = None) -> float:
    """Weighted mean log loss of logits [n] against labels 0 or 1 [n], n > 0, nats."""
    z = logit.astype(np.float64)
    return float(np.average(np.logaddexp(0.0, z) - label * z, weights=weight))


def observed_log_loss(logit: AnyFloats, columns: Columns) -> float:
    """Weighted mean log loss of labels that may still change, nats.

    With p the conversion's probability and F the completeness, -y log(p F) - (1 - y) log(1 - p F).
    """
    z = logit.astype(np.float64)
    if columns.completeness is not None:
        z = observed_logit(z, columns.completeness.astype(np.float64))
    return log_loss(z, columns.label, columns.weight)


def auc(score: AnyFloats, label: AnyFloats, weight: AnyFloats | None = None) -> float | None:
    """Area under the ROC curve, ties counting one half; none unless both labels occur.

    An example of weight w counts as w examples.

    Source: Hanley and McNeil, Radiology 143(1), 1982: the chance that a positive example scores
    above a negative one.
    """
    w = np.ones(len(label)) if weight is None else weight.astype(np.float64)
    distinct, place = np.unique(score, return_inverse=True)
    positives = np.bincount(place, w * (label > 0.5), len(distinct))
    negatives = np.bincount(place, w * (label <= 0.5), len(distinct))
    pairs = positives.sum() * negatives.sum()
    if pairs == 0:
        return None
    below = np.cumsum(negatives) - negatives
    return float(np.sum(positives * (below + negatives / 2)) / pairs)


def calibration_error(
    probability: AnyFloats, label: AnyFloats, weight: AnyFloats | None = None, bins: int = 10
) -> float:
    """Expected calibration error: mean over bins of |mean label - mean probability|.

    The bins are `bins` runs of as equally many examples as can be, by ascending probability; each
    counts by its weight. Source: Naeini et al., "Obtaining Well Calibrated Probabilities Using
    Bayesian Binning", AAAI 2015, with bins of equal numbers rather than widths, since rare
    conversions crowd into the first of equally wide ones.
    """
    w = np.ones(len(label)) if weight is None else weight.astype(np.float64)
    surplus = w * (probability.astype(np.float64) - label)
    order = np.argsort(probability, kind="stable")
    parts = np.array_split(order, min(bins, len(order)))
    return float(sum(abs(surplus[part].sum()) for part in parts) / w.sum())
