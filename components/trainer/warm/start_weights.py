"""What a served version carries so that a later training can start from it.

The serving graph holds the tables, the shared layers and the hard tower. The rest of the network
lies beside it, in `assets.extra`, which TF Serving does not read: a version grows by the weights
of the soft towers alone, and no weight is stored twice.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

from common.files.gfile import read_json, write_bytes, write_json
from common.versions.reference import START
from components.trainer.network.network import TwoTowerDCN
from schemas.contract import Contract

WEIGHTS_FILE = "weights.npz"
"""The variables that the serving graph lacks, by name."""

NETWORK_FILE = "network.json"
"""`model`: the architecture's settings; `features`: the contract's."""


def write_start(network: TwoTowerDCN, contract: Contract, serving_dir: str) -> None:
    """Adds to an exported serving graph what a warm start needs.

    Raises:
      ValueError: two variables have the same name.
    """
    folder = os.path.join(serving_dir, START)
    tf.io.gfile.makedirs(folder)
    variables = {name_of(v): v for v in network.variables}
    if len(variables) < len(network.variables):
        raise ValueError(f"{len(network.variables)} variables have {len(variables)} names")
    served = SavedVariables(serving_dir)
    buffer = io.BytesIO()
    np.savez(buffer, **{n: v.numpy() for n, v in variables.items() if n not in served})
    write_bytes(buffer.getvalue(), os.path.join(folder, WEIGHTS_FILE))
    about = {
        "model": network.settings.model_dump(mode="json"),
        "features": contract.features.model_dump(mode="json"),
    }
    write_json(about, os.path.join(folder, NETWORK_FILE))


@dataclass(frozen=True)
class StartWeights:
    """The full network behind a serving graph.

    Attributes:
      serving_dir: the SavedModel.
      model: settings of the architecture, as JSON.
      features: of the contract, as JSON.
    """

    serving_dir: str
    model: Mapping[str, Any]
    features: Mapping[str, Any]

    @classmethod
    def find(cls, serving_dir: str) -> StartWeights | None:
        """What lies beside a serving SavedModel to start from, if anything does."""
        file = os.path.join(serving_dir, START, NETWORK_FILE)
        if not tf.io.gfile.exists(file):
            return None
        about = read_json(file)
        return cls(serving_dir, about["model"], about["features"])

    def load(self) -> dict[str, npt.NDArray[np.float32]]:
        """The variables that the serving graph lacks, by name."""
        path = os.path.join(self.serving_dir, START, WEIGHTS_FILE)
        with tf.io.gfile.GFile(path, "rb") as file, np.load(io.BytesIO(file.read())) as arrays:
            return dict(arrays)


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
