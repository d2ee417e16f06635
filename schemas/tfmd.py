"""TensorFlow Metadata schemas that follow from a data set contract."""

from __future__ import annotations

import math

from tensorflow_metadata.proto.v0 import schema_pb2

from schemas import labelled
from schemas.contract import Contract

_DOMAINS = {
    labelled.TASK: (labelled.HARD, labelled.SOFT),
    labelled.TASK_REASON: ("cold_start", "held", "history", "pinned", "prior"),
    labelled.ROUTED_TO: (labelled.FALLBACK, labelled.HARD, labelled.SOFT),
    labelled.THRESHOLD_BAND: ("between", "outside"),
    labelled.SETUP_HISTORY: ("known", "new"),
}


def log_schema(contract: Contract) -> schema_pb2.Schema:
    """Schema of the click log's tf.Examples: `contract.log_columns`, one value each.

    Columns with a role are in every example; a column that is only a feature may be missing.
    """
    schema = schema_pb2.Schema()
    roles = contract.roles
    required = {
        *roles.setup,
        roles.timestamp,
        roles.label,
        roles.conversion_timestamp,
        roles.advertiser,
        roles.advertiser_type,
        roles.conversion_category,
        roles.spend,
        roles.weight,
    }
    for name in contract.log_columns:
        feature = _add(schema, name, _type(contract, name))
        feature.presence.min_fraction = 1.0 if name in required else 0.0
        if name == roles.label:
            feature.int_domain.CopyFrom(schema_pb2.IntDomain(min=0, max=1))
        elif name == roles.timestamp:
            feature.int_domain.CopyFrom(schema_pb2.IntDomain(min=0))
        elif name == roles.conversion_timestamp:
            feature.int_domain.CopyFrom(schema_pb2.IntDomain(min=-1))
        elif name == roles.weight:
            feature.float_domain.CopyFrom(schema_pb2.FloatDomain(min=0, disallow_nan=True))
    return schema


def labelled_schema(
    contract: Contract,
    *,
    drift_categorical: float | None = None,
    drift_numeric: float | None = None,
    skew_categorical: float | None = None,
    skew_numeric: float | None = None,
) -> schema_pb2.Schema:
    """Schema of the labelled examples: the log's columns and the fields of `schemas.labelled`.

    Args:
      contract: the data set contract.
      drift_categorical: largest L-infinity distance between the value shares of two spans, for
        every categorical feature and for the task; None for no comparison.
      drift_numeric: largest Jensen-Shannon divergence between two spans, in [0, 1].
      skew_categorical: as `drift_categorical`, between training and serving data.
      skew_numeric: as `drift_numeric`, between training and serving data.
    """
    schema = log_schema(contract)
    for name in labelled.BYTES_FIELDS:
        feature = _add(schema, name, schema_pb2.BYTES)
        feature.presence.min_fraction = 1.0
        if name in _DOMAINS:
            feature.string_domain.CopyFrom(schema_pb2.StringDomain(name=name, value=_DOMAINS[name]))
    for name in labelled.FLOAT_FIELDS:
        feature = _add(schema, name, schema_pb2.FLOAT)
        feature.presence.min_fraction = 1.0
        feature.float_domain.CopyFrom(schema_pb2.FloatDomain(min=0, max=1, disallow_nan=True))
    for name in labelled.INT_FIELDS:
        feature = _add(schema, name, schema_pb2.INT)
        feature.presence.min_fraction = 1.0
        feature.int_domain.CopyFrom(schema_pb2.IntDomain(min=0, max=1))

    categorical = {labelled.TASK, *(f.name for f in contract.features.categorical)}
    numeric = {f.name for f in contract.features.numeric}
    for feature in schema.feature:
        drift, skew = feature.drift_comparator, feature.skew_comparator
        if feature.name in categorical:
            _limit(drift.infinity_norm, drift_categorical)
            _limit(skew.infinity_norm, skew_categorical)
        elif feature.name in numeric:
            _limit(drift.jensen_shannon_divergence, drift_numeric)
            _limit(skew.jensen_shannon_divergence, skew_numeric)
    return schema


def feature_schema(contract: Contract) -> schema_pb2.Schema:
    """Schema of what the model reads: the contract's features alone, as dense [batch] tensors.

    A missing categorical value is the empty string, a missing numeric value NaN.
    """
    schema = schema_pb2.Schema()
    tensors = schema.tensor_representation_group[""].tensor_representation
    for name in contract.features.names:
        type_ = _type(contract, name)
        _add(schema, name, type_)
        dense = tensors[name].dense_tensor
        dense.column_name = name
        dense.shape.SetInParent()
        if type_ == schema_pb2.BYTES:
            dense.default_value.bytes_value = b""
        else:
            dense.default_value.float_value = math.nan
    return schema


def _type(contract: Contract, column: str) -> schema_pb2.FeatureType:
    if column in contract.int_columns:
        return schema_pb2.INT
    return schema_pb2.BYTES if column in contract.string_columns else schema_pb2.FLOAT


def _add(schema: schema_pb2.Schema, name: str, type_: schema_pb2.FeatureType) -> schema_pb2.Feature:
    feature = schema.feature.add(name=name, type=type_)
    feature.value_count.CopyFrom(schema_pb2.ValueCount(min=1, max=1))
    return feature


def _limit(
    norm: schema_pb2.InfinityNorm | schema_pb2.JensenShannonDivergence, threshold: float | None
) -> None:
    if threshold is not None:
        norm.threshold = threshold
