"""Scoring by a SavedModel in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.framework import graph_pb2, node_def_pb2
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2, saved_model_pb2

from common.versions.reference import MODEL_FILE
from common.versions.signatures import (
    NUMBERS,
    PACKED,
    PACKED_INPUTS,
    PROBABILITY,
    RAW,
    TEXT,
    PackedInputs,
)
from schemas.checked import checked_json
from schemas.errors import InputError
from service.models.inputs import InputSchema, RawFeatures
from service.models.scorer import ScoringError, checked

_INITIALIZE = "__saved_model_init_op"
"""Signature and output of a SavedModel that fill its tables."""


def read_schema(model: Path) -> InputSchema:
    """The inputs of a SavedModel's `raw` signature, in the order of its packed one if it has any.

    Raises:
      InputError: a file is missing or broken, or there is no such signature, or one of its inputs
        is neither string nor float32.
    """
    file = model / MODEL_FILE
    signatures = _meta_graph(model).signature_def
    inputs = signatures[RAW].inputs
    if not inputs:
        raise InputError(f"{file}: no signature {RAW!r}")
    schema = _schema({n: tf.dtypes.as_dtype(info.dtype) for n, info in inputs.items()}, file)
    if PACKED not in signatures:
        return schema
    asset = model / "assets" / PACKED_INPUTS
    try:
        packed = checked_json(PackedInputs, asset.read_bytes(), str(asset))
    except OSError as error:
        raise InputError(f"{asset}: {error.strerror}") from None
    columns = {name: column for column, name in {**packed.text, **packed.numbers}.items()}
    ordered = InputSchema(tuple(packed.text.values()), tuple(packed.numbers.values()), columns)
    if difference := ordered.difference(schema):
        raise InputError(f"{asset}: {difference}, unlike signature {RAW!r}")
    return ordered


def _meta_graph(model: Path) -> meta_graph_pb2.MetaGraphDef:
    file = model / MODEL_FILE
    try:
        return saved_model_pb2.SavedModel.FromString(file.read_bytes()).meta_graphs[0]
    except (OSError, DecodeError, IndexError) as error:
        raise InputError(f"{file}: not a SavedModel: {error}") from None


def _schema(types: Mapping[str, tf.DType], source: str | Path) -> InputSchema:
    if other := sorted(n for n, t in types.items() if t not in (tf.string, tf.float32)):
        kind = types[other[0]].name
        raise InputError(f"{source}: input {other[0]!r} is {kind}; wanted string or float32")
    return InputSchema(
        tuple(sorted(n for n, t in types.items() if t == tf.string)),
        tuple(sorted(n for n, t in types.items() if t == tf.float32)),
    )


class SavedModelScorer:
    """The `packed` signature in a session of its own, as TF Serving has it.

    A small call takes a quarter of the time of one through `tf.saved_model.load`, where Python
    prepares each call anew and threads take turns with the operations. A load takes a third: no
    Python object is made for each function, and only the functions of this signature are read.

    A model without it, of an earlier release, or with columns in another order than those of the
    schema, takes the packed features apart first.
    """

    def __init__(self, path: Path, schema: InputSchema) -> None:
        self._source = str(path)
        meta_graph = _meta_graph(path)
        signatures = meta_graph.signature_def
        packed = PACKED in signatures and read_schema(path) == schema
        signature = signatures[PACKED if packed else RAW]
        with tf.Graph().as_default():
            text = tf.compat.v1.placeholder(tf.string, [None, len(schema.text)])
            numbers = tf.compat.v1.placeholder(tf.float32, [None, len(schema.numbers)])
            inputs = {TEXT: text, NUMBERS: numbers}
            if not packed:
                inputs = dict(zip(schema.text, tf.unstack(text, axis=1), strict=True))
                inputs |= zip(schema.numbers, tf.unstack(numbers, axis=1), strict=True)
            output = signature.outputs[PROBABILITY].name
            session = _session(
                path,
                meta_graph,
                {signature.inputs[name].name: tensor for name, tensor in inputs.items()},
                output,
            )
        # `make_callable` goes through `run`, which takes longer than a small graph.
        self._call = session._make_callable_from_options(
            config_pb2.CallableOptions(feed=[text.name, numbers.name], fetch=[output])
        )

    def score(self, columns: RawFeatures) -> npt.NDArray[np.float32]:
        """See `Scorer`."""
        try:
            (answer,) = self._call(columns.text.T, columns.numbers.T)
        except tf.errors.OpError as error:
            raise ScoringError(f"{self._source}: {error.message}") from error
        return checked(answer, columns.numbers.shape[1], self._source)


def _session(
    model: Path,
    meta_graph: meta_graph_pb2.MetaGraphDef,
    inputs: Mapping[str, tf.Tensor],
    output: str,
) -> tf.compat.v1.Session:
    """A session with one of a SavedModel's outputs in the current graph, variables and tables
    filled.

    Args:
      inputs: stand in the place of tensors of these names.
    """
    saver, assets = meta_graph.saver_def, meta_graph.asset_file_def
    wanted = [output, *inputs, saver.restore_op_name, saver.filename_tensor_name]
    wanted += [asset.tensor_info.name for asset in assets]
    initialize = meta_graph.signature_def[_INITIALIZE].outputs[_INITIALIZE].name
    wanted += filter(None, [initialize])
    tf.graph_util.import_graph_def(
        _part(meta_graph.graph_def, wanted), input_map=dict(inputs), name=""
    )
    session = session_of_one_thread()
    variables = str(model / "variables" / "variables")
    session.run(saver.restore_op_name, {saver.filename_tensor_name: variables})
    if initialize:
        files = {a.tensor_info.name: str(model / "assets" / a.filename) for a in assets}
        session.run(initialize, files)
    return session


def session_of_one_thread() -> tf.compat.v1.Session:
    """A session on the current graph that runs it in the thread that calls.

    A model this small only loses by being split up; other requests have processes of their own.
    """
    config = tf.compat.v1.ConfigProto(
        intra_op_parallelism_threads=1,
        inter_op_parallelism_threads=1,
        use_per_session_threads=True,
    )
    config.experimental.executor_type = "SINGLE_THREADED_EXECUTOR"
    return tf.compat.v1.Session(config=config)


def _part(graph: graph_pb2.GraphDef, wanted: Sequence[str]) -> graph_pb2.GraphDef:
    """The nodes that tensors or operations of these names need, and the functions that these call.

    A SavedModel holds the functions of all its signatures several times over; what a session is
    given it works through at each of its first calls.
    """
    nodes = {node.name: node for node in graph.node}
    functions = {function.signature.name: function for function in graph.library.function}
    kept = _reached(wanted, lambda name: nodes[name].input)
    called = _reached(
        _called(nodes[name] for name in kept), lambda name: _called(functions[name].node_def)
    )
    part = graph_pb2.GraphDef(versions=graph.versions)
    part.node.extend(node for node in graph.node if node.name in kept)
    part.library.function.extend(functions[name] for name in sorted(called))
    return part


def _called(nodes: Iterable[node_def_pb2.NodeDef]) -> list[str]:
    values = [value for node in nodes for value in node.attr.values()]
    lists = [function.name for value in values for function in value.list.func]
    return [value.func.name for value in values if value.HasField("func")] + lists


def _reached(start: Iterable[str], following: Callable[[str], Iterable[str]]) -> set[str]:
    """Names that the first ones lead to, without the marks of outputs and of control inputs."""
    reached: set[str] = set()
    waiting = list(start)
    while waiting:
        name = waiting.pop().removeprefix("^").partition(":")[0]
        if name not in reached:
            reached.add(name)
            waiting += following(name)
    return reached
