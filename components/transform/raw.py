"""How the model's raw features are parsed from a tf.Example."""

from __future__ import annotations

import math

import tensorflow as tf

from schemas.contract import Contract


def feature_spec(contract: Contract) -> dict[str, tf.io.FixedLenFeature]:
    """Parsing spec of the contract's features, in contract order, each a [batch] tensor.

    A missing string becomes the empty string and a missing float NaN, as in
    `schemas.tfmd.feature_schema`.
    """
    strings = {
        f.name: tf.io.FixedLenFeature([], tf.string, b"") for f in contract.features.categorical
    }
    floats = {
        f.name: tf.io.FixedLenFeature([], tf.float32, math.nan) for f in contract.features.numeric
    }
    return strings | floats
