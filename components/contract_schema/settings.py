"""Thresholds of the comparators in the labelled examples' schema."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from schemas.base import Frozen

Distance = Annotated[float, Field(gt=0, le=1)]


class ComparatorThresholds(Frozen):
    """Distances from which a feature is anomalous; none leaves a comparison out."""

    drift_categorical: Distance | None = None
    """L-infinity distance of value shares, between two runs."""
    drift_numeric: Distance | None = None
    """Jensen-Shannon divergence, between two runs."""
    skew_categorical: Distance | None = None
    """L-infinity distance of value shares, between training and serving."""
    skew_numeric: Distance | None = None
    """Jensen-Shannon divergence, between training and serving."""
