import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from schemas import labelled
from schemas.contract import Contract
from schemas.tfmd import feature_schema, labelled_schema, log_schema

BYTES, INT, FLOAT = schema_pb2.BYTES, schema_pb2.INT, schema_pb2.FLOAT


@pytest.fixture(scope="module")
def contract() -> Contract:
    return Contract.model_validate(
        {
            "name": "ads",
            "description": "Clicks.",
            "input": {"format": "csv", "pattern": "*.csv"},
            "attribution_window_days": 7,
            "roles": {
                "timestamp": "t",
                "label": "y",
                "setup": ["adv", "goal"],
                "conversion_timestamp": "ty",
                "spend": "cost",
            },
            "features": {
                "of_setup": False,
                "categorical": [{"name": "site", "buckets": 5}, {"name": "adv", "buckets": 5}],
                "numeric": [{"name": "price"}],
            },
        }
    )


def by_name(schema: schema_pb2.Schema) -> dict[str, schema_pb2.Feature]:
    features = {f.name: f for f in schema.feature}
    assert len(features) == len(schema.feature)
    return features


def test_log_schema_holds_the_log_columns_with_their_types_and_presence(
    contract: Contract,
) -> None:
    seen = {
        f.name: (f.type, f.presence.min_fraction, f.value_count.min, f.value_count.max)
        for f in log_schema(contract).feature
    }
    assert seen == {
        "t": (INT, 1.0, 1, 1),
        "y": (INT, 1.0, 1, 1),
        "ty": (INT, 1.0, 1, 1),
        "adv": (BYTES, 1.0, 1, 1),
        "goal": (BYTES, 1.0, 1, 1),
        "site": (BYTES, 0.0, 1, 1),
        "price": (FLOAT, 0.0, 1, 1),
        "cost": (FLOAT, 1.0, 1, 1),
    }


def test_labelled_schema_adds_every_appended_field(contract: Contract) -> None:
    features = by_name(labelled_schema(contract))
    assert set(features) == set(contract.log_columns) | labelled.RESERVED
    assert {features[name].type for name in labelled.BYTES_FIELDS} == {BYTES}
    assert {features[name].type for name in labelled.FLOAT_FIELDS} == {FLOAT}
    assert (features["y"].int_domain.min, features["y"].int_domain.max) == (0, 1)
    assert sorted(features["task"].string_domain.value) == ["hard", "soft"]


def test_comparators_only_on_features_and_the_task(contract: Contract) -> None:
    schema = labelled_schema(contract, drift_categorical=0.1, skew_numeric=0.2)
    compared = {
        f.name: text_format.MessageToString(f, as_one_line=True).partition("skew_comparator")[2]
        or text_format.MessageToString(f, as_one_line=True).partition("drift_comparator")[2]
        for f in schema.feature
        if f.HasField("drift_comparator") or f.HasField("skew_comparator")
    }
    assert compared == {
        "site": " { infinity_norm { threshold: 0.1 } }",
        "adv": " { infinity_norm { threshold: 0.1 } }",
        "task": " { infinity_norm { threshold: 0.1 } }",
        "price": " { jensen_shannon_divergence { threshold: 0.2 } }",
    }


def test_the_historical_cvr_may_be_a_numeric_feature_and_is_not_of_the_log(
    contract: Contract,
) -> None:
    form = contract.model_dump()
    form["features"]["numeric"] = [{"name": "historical_cvr", "transform": "log"}]
    reading = Contract.model_validate(form)
    assert "historical_cvr" not in by_name(log_schema(reading))
    assert by_name(feature_schema(reading))["historical_cvr"].type == FLOAT
    limits = by_name(labelled_schema(reading, drift_numeric=0.2))
    limit = limits["historical_cvr"].drift_comparator.jensen_shannon_divergence
    assert limit.threshold == pytest.approx(0.2)
    for kind, other in (("numeric", "task_weight_hard"), ("categorical", "historical_cvr")):
        feature = {"name": other} | ({"buckets": 3} if kind == "categorical" else {})
        form["features"] = {"of_setup": False, kind: [feature]}
        with pytest.raises(ValueError, match=f"reserved by the task labeller: {other}"):
            Contract.model_validate(form)


def test_a_weight_is_a_required_number_of_0_or_more(contract: Contract) -> None:
    form = contract.model_dump()
    form["roles"]["weight"] = "importance"
    weighted = Contract.model_validate(form)
    assert set(weighted.log_columns) - set(contract.log_columns) == {"importance"}
    assert "importance" in weighted.float_columns
    weight = by_name(log_schema(weighted))["importance"]
    assert (weight.type, weight.presence.min_fraction) == (FLOAT, 1.0)
    assert (weight.float_domain.min, weight.float_domain.disallow_nan) == (0, True)
    assert "importance" not in by_name(feature_schema(weighted))


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ("price", "price leaks the outcome .* or the weight"),
        ("site", "site leaks the outcome"),
        ("goal", "roles.weight: column 'goal' has another role"),
        ("t", "roles.weight: column 't' has another role"),
        ("cost", "roles.weight: column 'cost' has another role"),
        ("y", "roles.weight: column 'y' has another role"),
        ("task", "reserved by the task labeller: task"),
    ],
)
def test_weights_refused(contract: Contract, weight: str, message: str) -> None:
    form = contract.model_dump()
    form["roles"]["weight"] = weight
    with pytest.raises(ValueError, match=message):
        Contract.model_validate(form)


@pytest.mark.parametrize(
    ("changes", "anomalous"),
    [
        ({}, set()),
        ({"y": [0, 2]}, {"y"}),
        ({"task": ["hard", "warm"]}, {"task"}),
        ({"historical_cvr": [0.5, 1.5]}, {"historical_cvr"}),
        ({"goal": ["a", None]}, {"goal"}),
        ({"site": [None, None], "price": [None, None]}, set()),
        ({"price": ["1", "2"]}, {"price"}),
    ],
)
def test_validation_finds_what_breaks_the_contract(
    contract: Contract, changes: dict[str, list[Any]], anomalous: set[str]
) -> None:
    import tensorflow_data_validation as tfdv
    from tensorflow_data_validation.statistics.stats_impl import generate_statistics_in_memory

    rows: dict[str, list[Any]] = {
        "t": [1, 2],
        "y": [0, 1],
        "ty": [-1, 3],
        "adv": ["a", "b"],
        "goal": ["g", "h"],
        "site": ["s", None],
        "price": [1.0, None],
        "cost": [1.0, 2.0],
        **{name: ["x", "x"] for name in labelled.BYTES_FIELDS},
        **{name: [0.0, 1.0] for name in labelled.FLOAT_FIELDS},
        **{name: [0, 1] for name in labelled.INT_FIELDS},
        "task": ["hard", "soft"],
        "task_reason": ["history", "prior"],
        "routed_to": ["hard", "fallback"],
        "threshold_band": ["between", "outside"],
        "setup_history": ["new", "known"],
    }
    batch = pa.RecordBatch.from_pydict(
        {
            name: pa.array([None if v is None else [v] for v in values], _list_type(values))
            for name, values in (rows | changes).items()
        }
    )
    statistics = generate_statistics_in_memory(batch)
    found = tfdv.validate_statistics(statistics, labelled_schema(contract))
    assert set(found.anomaly_info) == anomalous


def _list_type(values: list[Any]) -> pa.DataType:
    types = {str: pa.string(), int: pa.int64(), float: pa.float32()}
    known = [v for v in values if v is not None]
    return pa.list_(types[type(known[0])] if known else pa.float32())


def test_feature_schema_holds_the_features_alone(contract: Contract) -> None:
    schema = feature_schema(contract)
    assert [(f.name, f.type) for f in schema.feature] == [
        ("site", BYTES),
        ("adv", BYTES),
        ("price", FLOAT),
    ]


def test_feature_schema_survives_its_text_form(contract: Contract) -> None:
    text = text_format.MessageToString(feature_schema(contract))
    parsed = text_format.Parse(text, schema_pb2.Schema())
    default = parsed.tensor_representation_group[""].tensor_representation["price"].dense_tensor
    assert math.isnan(default.default_value.float_value)
    assert default.HasField("shape")


def test_tfxio_and_transform_read_missing_features_as_defaults(contract: Contract) -> None:
    import tensorflow as tf
    from tensorflow_transform.tf_metadata import schema_utils
    from tfx_bsl.coders import example_coder
    from tfx_bsl.tfxio import tensor_adapter, tf_example_record

    schema = feature_schema(contract)
    full = {"site": _bytes("s"), "adv": _bytes("a"), "price": _float(2.5), "t": _bytes("unread")}
    examples = [_example(full), _example({"adv": _bytes("b")})]

    tfxio = tf_example_record.TFExampleRecord("unused", schema=schema)
    config = tfxio.TensorAdapterConfig()
    batch = example_coder.ExamplesToRecordBatchDecoder(schema.SerializeToString()).DecodeBatch(
        examples
    )
    by_tfxio = tensor_adapter.TensorAdapter(config).ToBatchTensors(batch)
    spec = schema_utils.schema_as_feature_spec(schema).feature_spec
    by_parsing = tf.io.parse_example(examples, spec)
    for tensors in (by_tfxio, by_parsing):
        assert set(tensors) == {"site", "adv", "price"}
        assert list(np.asarray(tensors["site"])) == [b"s", b""]
        assert list(np.asarray(tensors["adv"])) == [b"a", b"b"]
        np.testing.assert_array_equal(np.asarray(tensors["price"]), np.float32([2.5, math.nan]))


def _example(features: dict[str, Any]) -> bytes:
    import tensorflow as tf

    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def _bytes(value: str) -> Any:
    import tensorflow as tf

    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()]))


def _float(value: float) -> Any:
    import tensorflow as tf

    return tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
