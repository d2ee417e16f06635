"""The transform graph: how a tf.Example is parsed for it, and it as a module to call and save."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping

import tensorflow as tf

from components.transform.layout import IDS, NUMS, FeatureLayout
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

    def of_columns(
        self, text: tf.Tensor, numbers: tf.Tensor, layout: FeatureLayout
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """As calling the graph, for raw features that lie side by side.

        The analyzed graph takes a tensor a feature and begins by stacking them. What stands here
        in the place of a stack is the tensor that it would make, so that all that follows is the
        same operations on the same values.

        Args:
          text: string [batch, categorical features], in the layout's order.
          numbers: float32 [batch, numeric features], in the layout's order.
        """
        function = self._saved.transform_fn
        graph = function.graph
        (features,), _ = function.structured_input_signature
        # Inputs of a function lie as `tf.nest` flattens them: by name.
        inputs = dict(zip(sorted(features), graph.inputs, strict=False))
        fed: dict[str, tf.Tensor] = {}
        for names, block in ((layout.categorical, text), (layout.numeric, numbers)):
            columns = tf.unstack(block, len(names), axis=1) if names else []
            fed |= {inputs[n].name: c for n, c in zip(names, columns, strict=True)}
            stacked = [inputs[n].name for n in names]
            fed |= {
                operation.outputs[0].name: block
                for operation in graph.get_operations()
                if operation.type == "Pack"
                and operation.get_attr("axis") == 1
                and [_source(tensor) for tensor in operation.inputs] == stacked
            }
        for outer, inner in zip(function.captured_inputs, graph.internal_captures, strict=True):
            fed[inner.name] = tf.identity(outer)
        outputs = tf.graph_util.import_graph_def(
            graph.as_graph_def(),
            input_map=fed,
            return_elements=[tensor.name for tensor in function.outputs],
            name="transform",
        )
        packed = dict(zip(sorted(function.structured_outputs), outputs, strict=True))
        return packed[IDS], packed[NUMS]


def _source(tensor: tf.Tensor) -> str:
    """Name of the tensor that this one is a copy of."""
    while tensor.op.type == "Identity":
        (tensor,) = tensor.op.inputs
    return str(tensor.name)
