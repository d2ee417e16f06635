"""Decides on anomalies that TensorFlow Data Validation finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0.anomalies_pb2 import Anomalies, AnomalyInfo
from tensorflow_metadata.proto.v0.schema_pb2 import Schema
from tensorflow_metadata.proto.v0.statistics_pb2 import DatasetFeatureStatisticsList as Statistics

from components.data_gate.settings import DataGateSettings
from schemas.errors import InputError
from schemas.labelled import EVAL, TRAIN

COMPARISONS = frozenset(
    value for name, value in AnomalyInfo.Type.items() if name.startswith("COMPARATOR_")
)
"""Anomaly types that compare two sets of statistics."""

COMPARED_SPLIT = {"drift": TRAIN, "skew": EVAL}
"""Kind of comparison -> the split that is told apart by it."""


@dataclass(frozen=True)
class Finding:
    """One anomaly.

    Attributes:
      kind: `schema`, `drift` or `skew`.
      split: the period it was found in.
      feature: the feature, or the empty string for the whole data set.
      severity: `error` when it stops the run, else `warning`.
      reason: what is wrong, in words.
    """

    kind: str
    split: str
    feature: str
    severity: str
    reason: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def compare(
    schema: Schema, statistics: Mapping[str, Statistics], reference: Statistics | None
) -> dict[str, Anomalies]:
    """Anomalies, with the distances behind them, by kind of comparison: `drift` and `skew`.

    Args:
      schema: with drift and skew comparators.
      statistics: of the `train` and the `eval` split.
      reference: train statistics of the last pushed model, None when there is none: then there is
        no drift.
    """
    train = statistics[TRAIN]
    skew = tfdv.validate_statistics(train, schema, serving_statistics=statistics[EVAL])
    if reference is None:
        return {"skew": skew}
    drift = tfdv.validate_statistics(train, schema, previous_statistics=reference)
    return {"drift": drift, "skew": skew}


def judge(
    anomalies: Mapping[str, Anomalies],
    comparisons: Mapping[str, Anomalies],
    settings: DataGateSettings,
) -> list[Finding]:
    """All findings, errors first.

    Args:
      anomalies: of each split against the schema, as ExampleValidator found them.
      comparisons: as `compare` gives them.
    """
    findings = [
        finding
        for split, of_split in anomalies.items()
        for finding in _findings("schema", split, of_split, settings)
    ]
    for kind, of_kind in comparisons.items():
        findings += _findings(kind, COMPARED_SPLIT[kind], _compared(of_kind), settings)
    return sorted(findings, key=lambda f: (f.severity, f.kind, f.split, f.feature))


def warned(findings: list[Finding]) -> dict[str, list[str]]:
    """Features with a warning, by kind."""
    by_kind: dict[str, list[str]] = {}
    for finding in findings:
        if finding.severity == "warning":
            by_kind.setdefault(finding.kind, []).append(finding.feature or "data set")
    return by_kind


def require_sound(findings: list[Finding]) -> None:
    """Raises InputError when a finding stops the run, naming each split and feature."""
    errors = [f for f in findings if f.severity == "error"]
    if errors:
        shown = "; ".join(
            f"{f.split} split, {f.feature or 'data set'}: {f.reason} ({f.kind})" for f in errors[:5]
        )
        more = f"; and {len(errors) - 5} more" if len(errors) > 5 else ""
        raise InputError(f"data gate: {shown}{more}")


def _compared(anomalies: Anomalies) -> Anomalies:
    """Only the anomalies that a comparison raised; the others were found against the schema."""
    kept = Anomalies()
    for name, info in anomalies.anomaly_info.items():
        if any(reason.type in COMPARISONS for reason in info.reason):
            kept.anomaly_info[name].CopyFrom(info)
    return kept


def _findings(
    kind: str, split: str, anomalies: Anomalies, settings: DataGateSettings
) -> list[Finding]:
    severity = "error" if kind in settings.stop_on else "warning"
    findings = [
        Finding(kind, split, name, severity, " ".join(info.description.split()))
        for name, info in anomalies.anomaly_info.items()
    ]
    if anomalies.HasField("dataset_anomaly_info"):
        text = " ".join(anomalies.dataset_anomaly_info.description.split())
        findings.append(Finding(kind, split, "", severity, text))
    return findings
