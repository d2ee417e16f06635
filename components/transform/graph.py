"""The transform graph as a module that can be called and saved again inside another SavedModel."""

from __future__ import annotations

import os
from collections.abc import Mapping

import tensorflow as tf

from components.transform.layout import IDS, NUMS

TRANSFORM_FN = "transform_fn"
"""Directory of the SavedModel inside a TransformGraph artifact, and its function's name."""


class TransformGraph(tf.Module):
    """The analyzed `preprocessing_fn`; its lookup tables and vocabularies are tracked."""

    def __init__(self, transform_graph_dir: str) -> None:
        super().__init__(name="transform")
        self._saved = tf.saved_model.load(os.path.join(transform_graph_dir, TRANSFORM_FN))

    def __call__(self, raw: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """Packed features of raw ones.

        Args:
          raw: one [batch] tensor a feature, as `components.transform.raw` parses them.

        Returns:
          `ids`, int64 [batch, categorical features], and `nums`, float32 [batch, numeric width].
        """
        packed = self._saved.transform_fn(dict(raw))
        return packed[IDS], packed[NUMS]
