"""Scoring by a SavedModel in this process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from common.versions.signatures import PROBABILITY, RAW
from schemas.errors import InputError
from service.models.inputs import Columns, InputSchema
from service.models.scorer import ScoringError, checked


def read_schema(model: Path) -> InputSchema:
    """The inputs of a SavedModel's `raw` signature.

    Raises:
      InputError: the file is missing or broken, or has no such signature, or one of its inputs is
        neither string nor float32.
    """
    file = model / "saved_model.pb"
    try:
        saved = saved_model_pb2.SavedModel.FromString(file.read_bytes())
        inputs = saved.meta_graphs[0].signature_def[RAW].inputs
    except (OSError, DecodeError, IndexError) as error:
        raise InputError(f"{file}: not a SavedModel: {error}") from None
    if not inputs:
        raise InputError(f"{file}: no signature {RAW!r}")
    return _schema({n: tf.dtypes.as_dtype(info.dtype) for n, info in inputs.items()}, file)


def _schema(types: Mapping[str, tf.DType], source: str | Path) -> InputSchema:
    if other := sorted(n for n, t in types.items() if t not in (tf.string, tf.float32)):
        kind = types[other[0]].name
        raise InputError(f"{source}: input {other[0]!r} is {kind}; wanted string or float32")
    return InputSchema(
        tuple(sorted(n for n, t in types.items() if t == tf.string)),
        tuple(sorted(n for n, t in types.items() if t == tf.float32)),
    )


class SavedModelScorer:
    """The `raw` signature behind two tensors.

    A call with a tensor for each of many features costs more than the network itself, so that they
    come packed and are taken apart inside the graph.
    """

    def __init__(self, path: Path, schema: InputSchema) -> None:
        self._model = tf.saved_model.load(str(path))
        self._source = str(path)
        signature = self._model.signatures[RAW]

        def packed(text: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
            columns = dict(zip(schema.text, tf.unstack(text, len(schema.text)), strict=True))
            columns |= zip(schema.numbers, tf.unstack(numbers, len(schema.numbers)), strict=True)
            return signature(**columns)[PROBABILITY]

        self._call = tf.function(packed).get_concrete_function(
            tf.TensorSpec([len(schema.text), None], tf.string),
            tf.TensorSpec([len(schema.numbers), None], tf.float32),
        )

    def score(self, columns: Columns) -> npt.NDArray[np.float32]:
        """See `Scorer`."""
        try:
            answer = self.call(*self.tensors(columns))
        except tf.errors.OpError as error:
            raise ScoringError(f"{self._source}: {error.message}") from error
        return checked(answer, columns.numbers.shape[1], self._source)

    def tensors(self, columns: Columns) -> tuple[tf.Tensor, tf.Tensor]:
        """Text [text features, n] and numbers [number features, n]."""
        return tf.constant(columns.text, tf.string), tf.constant(columns.numbers)

    def call(self, text: tf.Tensor, numbers: tf.Tensor) -> npt.NDArray[np.float32]:
        """Probabilities [n]; raises `tf.errors.OpError`."""
        probabilities: npt.NDArray[np.float32] = self._call(text, numbers).numpy()
        return probabilities
