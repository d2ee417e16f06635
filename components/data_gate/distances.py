"""How far each feature has moved: the figures behind drift and skew, below the thresholds too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tensorflow_metadata.proto.v0.anomalies_pb2 import Anomalies, DriftSkewInfo

MEASURES = {
    DriftSkewInfo.Measurement.L_INFTY: "L-infinity",
    DriftSkewInfo.Measurement.JENSEN_SHANNON_DIVERGENCE: "Jensen-Shannon",
}


@dataclass(frozen=True)
class Distance:
    """One feature in one comparison.

    Attributes:
      kind: `drift` from the last pushed model's train period, or `skew` of eval from train.
      measure: `L-infinity` of value shares, or `Jensen-Shannon` divergence.
      value: 0 to 1.
      threshold: above it the feature is anomalous.
    """

    kind: str
    feature: str
    measure: str
    value: float
    threshold: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def distances(comparisons: Mapping[str, Anomalies]) -> list[Distance]:
    """The distance of every feature that has a comparator, the farthest first.

    Args:
      comparisons: kind -> what TensorFlow Data Validation found.
    """
    all_kinds = [
        Distance(
            kind,
            ".".join(info.path.step),
            MEASURES.get(measured.type, "distance"),
            measured.value,
            measured.threshold,
        )
        for kind, anomalies in comparisons.items()
        for info in anomalies.drift_skew_info
        for measured in (*info.drift_measurements, *info.skew_measurements)
    ]
    return sorted(all_kinds, key=lambda d: (d.kind, -d.value, d.feature))
