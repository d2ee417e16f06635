"""The transform graph: how a tf.Example is parsed for it, and it as a module to call and save."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping

import tensorflow as tf

from components.transform.layout import IDS, NUMS
from schemas.contract import Contract

TRANSFORM_FN = "transform_fn"
"""Directory of the SavedModel inside a TransformGraph artifact, and its function's name."""


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


class TransformGraph(tf.Module):
    """The analyzed `preprocessing_fn`; its lookup tables and vocabularies are tracked."""

    def __init__(self, transform_graph_dir: str) -> None:
        super().__init__(name="transform")
        self._saved = tf.saved_model.load(os.path.join(transform_graph_dir, TRANSFORM_FN))

    def __call__(self, raw: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """Packed features of raw ones.

        Args:
          raw: one [batch] tensor a feature, as `feature_spec` parses them.

        Returns:
          `ids`, int64 [batch, categorical features], and `nums`, float32 [batch, numeric width].
        """
        packed = self._saved.transform_fn(dict(raw))
        return packed[IDS], packed[NUMS]
