"""What scores candidates."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from service.models.inputs import RawFeatures


class ScoringError(RuntimeError):
    """A model that does not answer, or not with probabilities."""


class Scorer(Protocol):
    """One model of one version; safe to share by threads."""

    def score(self, columns: RawFeatures) -> npt.NDArray[np.float32]:
        """Probabilities [n] of n > 0 candidates.

        Raises:
          ScoringError: there is no answer.
        """
        ...


def checked(probabilities: npt.ArrayLike, n: int, source: str) -> npt.NDArray[np.float32]:
    """The probabilities as float32 [n].

    Raises:
      ScoringError: there are not n, or one is outside [0, 1].
    """
    array = np.asarray(probabilities, np.float32)
    if array.shape != (n,):
        raise ScoringError(f"{source}: {array.shape} probabilities; wanted {n}")
    # Not a number makes both comparisons false.
    if n and not (array.min() >= 0 and array.max() <= 1):
        bad = array[~((array >= 0) & (array <= 1))][0]
        raise ScoringError(f"{source}: probability {bad}; wanted a number from 0 to 1")
    return array
