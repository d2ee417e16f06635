"""The feature graph: raw columns in, two packed tensors out.

One tensor operation serves all features of a kind, and the number of analyzers is fixed, so
Transform's fixed cost does not grow with the number of features and serving latency hardly does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from components.transform.layout import IDS, NUMS
from components.transform.vocabulary import apply_vocabularies
from schemas.contract import Categorical, Contract, Numeric, parse_contract

HASH_RANGE = 2**63 - 1
"""farmhash64 is taken modulo this, then modulo the buckets of each feature."""


SMALLEST_RATE = 1e-6
"""Below it the transform `log` tells no values apart."""


def preprocessing_fn(
    inputs: Mapping[str, tf.Tensor], custom_config: Mapping[str, Any]
) -> dict[str, tf.Tensor]:
    """tf.Transform's entry point.

    Args:
      inputs: one [batch] tensor a feature; string (empty when missing) or float32 (NaN when
        missing).
      custom_config: `contract`, the data set contract as JSON.

    Returns:
      `ids` and `nums`, as `components.transform.layout.FeatureLayout` lays them out.
    """
    contract = parse_contract(custom_config["contract"])
    return pack(inputs, contract)


def pack(inputs: Mapping[str, tf.Tensor], contract: Contract) -> dict[str, tf.Tensor]:
    """As `preprocessing_fn`, for a parsed contract."""
    batch = tf.shape(inputs[contract.features.names[0]])[0]
    return {
        IDS: _pack_ids(inputs, contract.features.categorical, batch),
        NUMS: _pack_numbers(inputs, contract.features.numeric, batch),
    }


def _pack_ids(
    inputs: Mapping[str, tf.Tensor], features: Sequence[Categorical], batch: tf.Tensor
) -> tf.Tensor:
    if not features:
        return tf.zeros([batch, 0], tf.int64)
    values = tf.stack([inputs[f.name] for f in features], axis=1)
    hashes = tf.strings.to_hash_bucket_fast(values, HASH_RANGE)
    listed = [i for i, f in enumerate(features) if f.vocabulary is not None]
    if not listed:
        return tf.math.floormod(hashes, tf.constant([f.rows for f in features], tf.int64))
    from_vocabulary = apply_vocabularies(
        tf.gather(values, listed, axis=1),
        tf.gather(hashes, listed, axis=1),
        [features[i].rows - 1 for i in listed],
    )
    hashed = [i for i in range(len(features)) if i not in listed]
    if not hashed:
        return from_vocabulary
    buckets = tf.constant([features[i].rows for i in hashed], tf.int64)
    from_hash = tf.math.floormod(tf.gather(hashes, hashed, axis=1), buckets)
    place = np.argsort([*hashed, *listed])
    return tf.gather(tf.concat([from_hash, from_vocabulary], axis=1), place, axis=1)


def _pack_numbers(
    inputs: Mapping[str, tf.Tensor], features: Sequence[Numeric], batch: tf.Tensor
) -> tf.Tensor:
    """Standardized values, then missing flags; infinite values count as missing.

    A column that is constant or all missing in the analyzed examples becomes 0 for good, since
    the network could not learn what another value means.
    """
    if not features:
        return tf.zeros([batch, 0], tf.float32)
    values = tf.stack([inputs[f.name] for f in features], axis=1)
    # In float32 on purpose: equal values then sum exactly in float64, and the variance of a
    # constant column is exactly 0.
    logs = [f.transform == "log1p" for f in features]
    if any(logs):
        values = tf.where(logs, tf.sign(values) * tf.math.log1p(tf.abs(values)), values)
    rates = [f.transform == "log" for f in features]
    if any(rates):
        floored = tf.where(values < SMALLEST_RATE, SMALLEST_RATE, values)
        values = tf.where(rates, tf.math.log(floored), values)
    values = tf.cast(values, tf.float64)
    mean = tft.mean(values, reduce_instance_dims=False)
    variance = tft.var(values, reduce_instance_dims=False)

    known = tf.math.is_finite(values)
    mean = tf.where(tf.math.is_finite(mean), mean, 0.0)
    varies = variance > 0
    scaled = (values - mean) * tf.where(varies, tf.math.rsqrt(variance), 0.0)
    identity = tf.constant([f.transform == "identity" for f in features])
    standard = tf.where(identity, values, scaled)
    filled = tf.where(known, standard, tf.where(identity, mean, 0.0))
    return tf.concat([tf.cast(filled, tf.float32), tf.cast(~known, tf.float32)], axis=1)
