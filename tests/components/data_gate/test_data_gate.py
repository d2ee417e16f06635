"""The data gate on statistics that TensorFlow Data Validation computed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from tensorflow_metadata.proto.v0.schema_pb2 import Schema
from tensorflow_metadata.proto.v0.statistics_pb2 import DatasetFeatureStatisticsList

from components.data_gate.distances import distances
from components.data_gate.gate import Finding, compare, judge, require_sound, warned
from components.data_gate.settings import DataGateSettings
from schemas.errors import InputError

SCHEMA = text_format.Parse(
    """
    feature {
      name: "device" type: BYTES presence { min_fraction: 1 } shape { dim { size: 1 } }
      string_domain { value: "phone" value: "desk" }
      skew_comparator { infinity_norm { threshold: 0.2 } }
      drift_comparator { infinity_norm { threshold: 0.2 } }
    }
    """,
    Schema(),
)
SETTINGS = DataGateSettings()


def statistics(phones: float, extra: str = "") -> DatasetFeatureStatisticsList:
    values = np.where(np.arange(100) < 100 * phones, "phone", "desk").tolist()
    return tfdv.generate_statistics_from_dataframe(
        pd.DataFrame({"device": values + ([extra] if extra else [])})
    )


def found(
    train: DatasetFeatureStatisticsList,
    newest: DatasetFeatureStatisticsList,
    reference: DatasetFeatureStatisticsList | None = None,
    settings: DataGateSettings = SETTINGS,
) -> list[Finding]:
    splits = {"train": train, "eval": newest}
    anomalies = {name: tfdv.validate_statistics(s, SCHEMA) for name, s in splits.items()}
    return judge(anomalies, compare(SCHEMA, splits, reference), settings)


def test_alike_periods_pass() -> None:
    assert found(statistics(0.5), statistics(0.6), statistics(0.4)) == []


def test_a_value_outside_the_schema_stops_the_run() -> None:
    findings = found(statistics(0.5, "fridge"), statistics(0.5))
    assert [(f.kind, f.split, f.feature, f.severity) for f in findings] == [
        ("schema", "train", "device", "error")
    ]
    with pytest.raises(InputError, match=r"train split, device: .*fridge"):
        require_sound(findings)


@pytest.mark.parametrize(
    ("kind", "train", "newest", "reference", "split"),
    [
        ("skew", 0.5, 0.9, None, "eval"),
        ("drift", 0.5, 0.5, 0.9, "train"),
    ],
)
def test_a_shift_warns_or_stops_as_told(
    kind: str, train: float, newest: float, reference: float | None, split: str
) -> None:
    before = None if reference is None else statistics(reference)
    findings = found(statistics(train), statistics(newest), before)
    assert [(f.kind, f.split, f.feature, f.severity) for f in findings] == [
        (kind, split, "device", "warning")
    ]
    assert "0.4" in findings[0].reason
    require_sound(findings)
    assert warned(findings) == {kind: ["device"]}

    strict = DataGateSettings(stop_on=(kind,))
    with pytest.raises(InputError, match=rf"device: .*\({kind}\)"):
        require_sound(found(statistics(train), statistics(newest), before, strict))


def test_the_message_stays_short() -> None:
    many = [Finding("schema", "train", f"f{i}", "error", "bad") for i in range(9)]
    with pytest.raises(InputError, match=r"f4: bad \(schema\); and 4 more$"):
        require_sound(many)


def test_distances_are_given_below_the_thresholds_too() -> None:
    splits = {"train": statistics(0.5), "eval": statistics(0.6)}
    found = distances(compare(SCHEMA, splits, statistics(0.9)))
    assert [(d.kind, d.feature, d.measure, d.threshold) for d in found] == [
        ("drift", "device", "L-infinity", 0.2),
        ("skew", "device", "L-infinity", 0.2),
    ]
    # Shares of phones: .5 against .9, and .5 against .6.
    assert [d.value for d in found] == pytest.approx([0.4, 0.1])
    assert [d.kind for d in distances(compare(SCHEMA, splits, None))] == ["skew"]
