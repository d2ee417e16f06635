"""The features of a contract as TFX's examples compute them: each by operations of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from schemas.contract import parse_contract
from schemas.labelled import TASK


def preprocessing_fn(
    inputs: Mapping[str, Any], custom_config: Mapping[str, Any]
) -> dict[str, tf.Tensor]:
    """Hash buckets and z-scores, one [batch] tensor a feature; missing numbers become 0 first."""
    contract = parse_contract(custom_config["contract"])
    label = contract.roles.label
    outputs = {label: _dense(inputs[label], 0), TASK: _dense(inputs[TASK], "")}
    for text in contract.features.categorical:
        outputs[text.name] = tft.hash_strings(_dense(inputs[text.name], ""), text.rows)
    for number in contract.features.numeric:
        value = _dense(inputs[number.name], 0.0)
        if number.transform == "log1p":
            value = tf.sign(value) * tf.math.log1p(tf.abs(value))
        outputs[number.name] = (
            value if number.transform == "identity" else tft.scale_to_z_score(value)
        )
    return outputs


def _dense(column: Any, default: Any) -> tf.Tensor:
    if isinstance(column, tf.SparseTensor):
        rows = column.dense_shape[0]
        column = tf.sparse.to_dense(
            tf.SparseTensor(column.indices, column.values, [rows, 1]), default
        )
    return tf.squeeze(column, axis=1)
