"""Proof that a serving graph is the full graph without the soft tower (paper, section 3.2.1)."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2, trackable_object_graph_pb2

from common.files.gfile import read_text
from common.versions.reference import MODEL_FILE
from common.versions.signatures import (
    EXAMPLES,
    NUMBERS,
    PACKED,
    PACKED_INPUTS,
    PROBABILITY,
    RAW,
    SERVING_DEFAULT,
    TEXT,
    PackedInputs,
)
from schemas.checked import checked_json
from schemas.labelled import HARD, SOFT

TOLERANCE = 1e-6
"""Largest difference of two probabilities that counts as rounding."""


class PruningError(Exception):
    """A serving graph that is not the full graph without the soft tower."""


@dataclass(frozen=True)
class GraphInventory:
    """What a SavedModel consists of.

    Attributes:
      variables: names, sorted.
      operations: names of the operations and arguments of the graph and of every function in it,
        sorted, each once.
      parameters: numbers held by the variables.
      size: bytes of all files.
    """

    variables: tuple[str, ...]
    operations: tuple[str, ...]
    parameters: int
    size: int


@dataclass(frozen=True)
class PruningProof:
    """The evidence.

    Attributes:
      serving, full: what the two graphs consist of.
      soft_variables: the full graph's variables that the serving graph goes without, those of
        the soft tower or of its tiers' towers; empty where the network has one tower.
      examples: how many examples both graphs answered.
      largest_difference: between the serving graph's probabilities, by whichever signature, and
        the full graph's hard ones.
    """

    serving: GraphInventory
    full: GraphInventory
    soft_variables: tuple[str, ...]
    examples: int
    largest_difference: float


def prove_pruning(
    serving_dir: str | os.PathLike[str],
    full_dir: str | os.PathLike[str],
    examples: Sequence[bytes],
    tolerance: float = TOLERANCE,
) -> PruningProof:
    """Compares two SavedModels as `components.trainer.export.export` writes them.

    The serving graph must hold exactly the full graph's variables, soft ones excepted, with the
    same values; no operation that is named after a soft variable; and answer the examples with
    the full graph's hard probabilities, by each of its signatures: `serving_default` is what is
    evaluated, `raw` and `packed` are what the service calls.

    Args:
      serving_dir, full_dir: the SavedModels.
      examples: serialized tf.Examples, at least one.
      tolerance: largest difference of two probabilities.

    Raises:
      PruningError: one of these does not hold; the message has the names and figures.
      ValueError: there is no example.
    """
    if not examples:
        raise ValueError("examples is empty; wanted at least one to compare predictions on")
    serving_dir, full_dir = os.fspath(serving_dir), os.fspath(full_dir)
    serving_variables, full_variables = _Variables(serving_dir), _Variables(full_dir)
    soft = tuple(name for name in full_variables.names if re.match(rf"{SOFT}(_\d+)?/", name))
    _check_variables(serving_variables, full_variables, soft)
    differences = _differences(serving_dir, full_dir, examples)
    proof = PruningProof(
        serving=_inventory(serving_dir, serving_variables),
        full=_inventory(full_dir, full_variables),
        soft_variables=soft,
        examples=len(examples),
        largest_difference=max(differences.values()),
    )
    named_after = [
        operation
        for operation in proof.serving.operations
        if any(_plain(name) in _plain(operation) for name in soft)
    ]
    if named_after:
        raise PruningError(
            f"{serving_dir}: {len(named_after)} operations of the soft tower, such as "
            f"{named_after[0]!r}; wanted none"
        )
    for signature, difference in differences.items():
        if not difference <= tolerance:
            raise PruningError(
                f"{serving_dir}: predictions of {signature!r} differ from the full graph's hard "
                f"ones by up to {difference:.3g} on {len(examples)} examples; "
                f"wanted at most {tolerance:.3g}"
            )
    return proof


class _Variables:
    """Names and values of a SavedModel's variables, read one at a time."""

    def __init__(self, directory: str) -> None:
        prefix = os.path.join(directory, "variables", "variables")
        self._checkpoint = tf.train.load_checkpoint(prefix)
        graph = trackable_object_graph_pb2.TrackableObjectGraph.FromString(
            self._checkpoint.get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH")
        )
        self._keys = {
            attribute.full_name: attribute.checkpoint_key
            for node in graph.nodes
            for attribute in node.attributes
            if attribute.name == "VARIABLE_VALUE"
        }
        self.names = tuple(sorted(self._keys))
        shapes: Mapping[str, list[int]] = self._checkpoint.get_variable_to_shape_map()
        self.parameters = sum(int(np.prod(shapes[key])) for key in self._keys.values())

    def __getitem__(self, name: str) -> npt.NDArray[np.generic]:
        return np.asarray(self._checkpoint.get_tensor(self._keys[name]))


def _check_variables(serving: _Variables, full: _Variables, soft: Sequence[str]) -> None:
    wanted = set(full.names) - set(soft)
    if extra := sorted(set(serving.names) - wanted):
        raise PruningError(
            f"the serving graph holds {len(extra)} variables that it must not: {', '.join(extra)} "
            f"(parameters: {serving.parameters} serving, {full.parameters} full)"
        )
    if missing := sorted(wanted - set(serving.names)):
        raise PruningError(
            f"the serving graph lacks {len(missing)} variables of the full graph: "
            f"{', '.join(missing)}"
        )
    if changed := [name for name in serving.names if not _same(serving[name], full[name])]:
        raise PruningError(
            f"{len(changed)} of {len(serving.names)} variables have other values in the serving "
            f"graph than in the full graph: {', '.join(changed)}"
        )


def _same(one: npt.NDArray[np.generic], other: npt.NDArray[np.generic]) -> bool:
    return one.dtype == other.dtype and np.array_equal(one, other)


def _inventory(directory: str, variables: _Variables) -> GraphInventory:
    model = saved_model_pb2.SavedModel()
    with tf.io.gfile.GFile(os.path.join(directory, MODEL_FILE), "rb") as file:
        model.ParseFromString(file.read())
    operations: set[str] = set()
    for meta_graph in model.meta_graphs:
        operations.update(node.name for node in meta_graph.graph_def.node)
        for function in meta_graph.graph_def.library.function:
            operations.update(argument.name for argument in function.signature.input_arg)
            operations.update(node.name for node in function.node_def)
    size = sum(
        tf.io.gfile.stat(os.path.join(folder, file)).length
        for folder, _, files in tf.io.gfile.walk(directory)
        for file in files
    )
    return GraphInventory(
        variables.names, tuple(sorted(operations)), variables.parameters, int(size)
    )


def _differences(serving_dir: str, full_dir: str, examples: Sequence[bytes]) -> dict[str, float]:
    """By signature, the largest difference of the serving graph's probabilities from the full
    graph's hard ones; NaN counts as infinite."""
    serving, full = tf.saved_model.load(serving_dir), tf.saved_model.load(full_dir)
    as_they_are = {EXAMPLES: tf.constant(list(examples))}
    inputs: dict[str, dict[str, tf.Tensor]] = {SERVING_DEFAULT: as_they_are}
    if PACKED in serving.signatures:
        inputs |= _parsed(serving_dir, examples)
    wanted = full.signatures[SERVING_DEFAULT](**as_they_are)[HARD].numpy().astype(np.float64)

    def difference(signature: str) -> float:
        answer = serving.signatures[signature](**inputs[signature])[PROBABILITY].numpy()
        return float(np.nan_to_num(np.abs(answer - wanted), nan=np.inf).max())

    return {signature: difference(signature) for signature in inputs}


def _parsed(directory: str, examples: Sequence[bytes]) -> dict[str, dict[str, tf.Tensor]]:
    """The examples as inputs of the signatures that the service calls."""
    file = os.path.join(directory, "assets", PACKED_INPUTS)
    inputs = checked_json(PackedInputs, read_text(file), file)
    spec = dict.fromkeys(inputs.text, tf.io.FixedLenFeature([], tf.string, b""))
    spec |= dict.fromkeys(inputs.numbers, tf.io.FixedLenFeature([], tf.float32, math.nan))
    columns = tf.io.parse_example(list(examples), spec)

    def block(names: Iterable[str], kind: tf.DType) -> tf.Tensor:
        chosen = [columns[name] for name in names]
        return tf.stack(chosen, axis=1) if chosen else tf.zeros([len(examples), 0], kind)

    raw_names = {**inputs.text, **inputs.numbers}
    return {
        RAW: {raw_names[name]: column for name, column in columns.items()},
        PACKED: {
            TEXT: block(inputs.text, tf.string),
            NUMBERS: block(inputs.numbers, tf.float32),
        },
    }


def _plain(name: str) -> str:
    """A name as TensorFlow spells it inside the names of arguments and operations."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower())
