"""The likelihood of labels that may still change, in NumPy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import expit

from common.arrays import Floats


class Derivatives(NamedTuple):
    """Of the negative log likelihood with respect to the logits, row by row.

    Attributes:
      slope: float64 [n], the first derivative.
      information: float64 [n], the expected second one (Fisher), never negative.
    """

    slope: Floats
    information: Floats


def observed_logit(z: Floats, completeness: Floats | None) -> Floats:
    """Logit of p F, the chance that a conversion has been seen by now.

        logit(p F) = z + log F - log(1 + (1 - F) exp(z))        p = sigmoid(z)

    Args:
      z: logits of conversion, float64 [n].
      completeness: F in (0, 1] [n], share of the conversions seen by now; none is 1 for all, and
        leaves z as it is to the bit.
    """
    if completeness is None:
        return z
    with np.errstate(divide="ignore"):
        missing = np.log1p(-completeness)
    return z + np.log(completeness) - softplus(z + missing)


def softplus(x: Floats) -> Floats:
    """log(1 + exp(x)), by the functions that NumPy computes several at a time."""
    result = np.abs(x)
    np.negative(result, out=result)
    np.exp(result, out=result)
    np.log1p(result, out=result)
    result += np.maximum(x, 0.0)
    return result


def loss(z: Floats, label: Floats, shift: Floats | float, completeness: Floats | None) -> Floats:
    """Negative log likelihood of each label, float64 [n], nats.

    Source: with F = 1 logistic regression; otherwise the thinned Bernoulli
    -y log(p F) - (1 - y) log(1 - p F), as Chapelle, "Modeling Delayed Feedback in Display
    Advertising", KDD 2014, equation 3, has it for a delay whose distribution is known.

    Args:
      z: logits, float64 [n].
      label: 0 or 1 [n], as observed by now.
      shift: added to the observed logit, see `components.trainer.data.sampling.logit_shifts`.
      completeness: see `observed_logit`.
    """
    seen = observed_logit(z, completeness) + shift
    return softplus(seen) - label * seen


def derivatives(
    z: Floats, label: Floats, shift: Floats | float, completeness: Floats | None
) -> Derivatives:
    """Slope and information of `loss` at z.

    With q the probability of the observed label and d = d logit(p F) / dz = (1 - p) / (1 - p F),

        slope = (q - y) d        information = q (1 - q) d^2
    """
    q = expit(observed_logit(z, completeness) + shift)
    if completeness is None:
        return Derivatives(q - label, q * (1 - q))
    with np.errstate(divide="ignore"):
        d = expit(-(z + np.log1p(-completeness)))
    return Derivatives((q - label) * d, q * (1 - q) * d * d)
