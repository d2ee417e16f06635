"""Variables of a SavedModel by the names that they were made with."""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"


class SavedVariables:
    """Reads one variable at a time, without loading the model."""

    def __init__(self, saved_model: str) -> None:
        prefix = os.path.join(saved_model, "variables", "variables")
        self._reader = tf.compat.v1.train.NewCheckpointReader(prefix)
        graph = TrackableObjectGraph()
        graph.ParseFromString(self._reader.get_tensor(_OBJECT_GRAPH))
        self._keys = {
            attribute.full_name: attribute.checkpoint_key
            for node in graph.nodes
            for attribute in node.attributes
            if attribute.full_name
        }

    def __contains__(self, name: str) -> bool:
        return name in self._keys

    def read(self, name: str) -> npt.NDArray[np.float32]:
        """A variable's value."""
        value: npt.NDArray[np.float32] = self._reader.get_tensor(self._keys[name])
        return value


def name_of(variable: tf.Variable) -> str:
    """A variable's name as checkpoints spell it."""
    return str(variable.name).partition(":")[0]
