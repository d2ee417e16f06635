"""Settings of the data gate."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Frozen

Distance = Annotated[float, Field(gt=0, le=1)]


class DataGateSettings(Frozen):
    """Which anomalies of the labelled examples stop a run."""

    stop_on: tuple[Literal["schema", "drift", "skew"], ...] = ("schema",)
    """`schema`: examples break the contract's schema. `drift`: the train period differs from that
    of the last pushed model. `skew`: the eval period, the closest to what serving will see,
    differs from the train period. Anomalies of a kind not listed are reported only."""
    categorical_distance: Distance = 0.25
    """L-infinity distance of value shares from which a categorical feature is anomalous."""
    numeric_distance: Distance = 0.25
    """Jensen-Shannon divergence from which a numeric feature is anomalous."""
