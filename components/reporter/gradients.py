"""How the tasks' gradients of each shared layer went together while training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from components.reporter.inputs import Json

COSINE, NORM_RATIO = "gradient_cosine/", "gradient_norm_ratio/"
"""Prefixes of a layer's keys in `history.json`."""


@dataclass(frozen=True)
class LayerGradients:
    """A layer's measures at the looks that have them.

    Attributes:
      layer: `embedding`, a layer of the network, or `all`.
      cosines: (step, cosine of the hard and the soft gradient).
      ratios: (step, norm of the hard gradient over that of the soft one).
    """

    layer: str
    cosines: Sequence[tuple[int, float]]
    ratios: Sequence[tuple[int, float]]

    @property
    def mean_cosine(self) -> float | None:
        return float(np.mean([c for _, c in self.cosines])) if self.cosines else None

    @property
    def opposed(self) -> int:
        """Looks at which a step for one task was a step against the other."""
        return sum(cosine < 0 for _, cosine in self.cosines)

    @property
    def median_ratio(self) -> float | None:
        return float(np.median([r for _, r in self.ratios])) if self.ratios else None


def layer_gradients(looks: Sequence[Json]) -> list[LayerGradients]:
    """Every layer that some look has a cosine of, in the network's order.

    Args:
      looks: `history.json`.
    """
    layers = dict.fromkeys(
        key.removeprefix(COSINE) for look in looks for key in look if key.startswith(COSINE)
    )
    every = [
        LayerGradients(layer, _points(looks, COSINE + layer), _points(looks, NORM_RATIO + layer))
        for layer in layers
    ]
    return [layer for layer in every if layer.cosines]


def _points(looks: Sequence[Json], key: str) -> list[tuple[int, float]]:
    return [(look["step"], look[key]) for look in looks if look.get(key) is not None]
