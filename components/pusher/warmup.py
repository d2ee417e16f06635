"""Requests that TF Serving replays before a version takes traffic.

Format: https://www.tensorflow.org/tfx/serving/saved_model_warmup
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from common.versions.reference import MODEL_FILE
from common.versions.signatures import SERVING_DEFAULT
from components.pusher.settings import PushSettings

WARMUP_FILE = "tf_serving_warmup_requests"
"""Name that TF Serving looks for in `assets.extra`; an uncompressed TFRecord of PredictionLog."""

RAW_SIGNATURE = "raw"


def raw_features(model: Path) -> frozenset[str]:
    """Names of the features that a serving SavedModel reads: the inputs of its `raw` signature.

    Raises:
      ValueError: the SavedModel has no such signature.
    """
    saved = saved_model_pb2.SavedModel.FromString((model / MODEL_FILE).read_bytes())
    signatures = saved.meta_graphs[0].signature_def
    if RAW_SIGNATURE not in signatures:
        raise ValueError(
            f"{model}: signatures {sorted(signatures)}; wanted one named {RAW_SIGNATURE!r}"
        )
    return frozenset(signatures[RAW_SIGNATURE].inputs)


def only_features(record: bytes, names: frozenset[str]) -> bytes:
    """A serialized tf.Example cut down to the named features, in sorted order."""
    seen = tf.train.Example.FromString(record).features.feature
    kept = tf.train.Example()
    for name in sorted(names & set(seen)):
        kept.features.feature[name].CopyFrom(seen[name])
    return kept.SerializeToString(deterministic=True)


def warmup_requests(
    examples: Sequence[bytes], settings: PushSettings
) -> list[prediction_log_pb2.PredictionLog]:
    """Predict requests for `serving_default`, going round the examples (serialized tf.Examples).

    Empty without examples.
    """
    if not examples:
        return []
    size = settings.warmup_batch
    return [
        _request([examples[(i * size + j) % len(examples)] for j in range(size)], settings)
        for i in range(settings.warmup_requests)
    ]


def _request(examples: Sequence[bytes], settings: PushSettings) -> prediction_log_pb2.PredictionLog:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = settings.model_name
    request.model_spec.signature_name = SERVING_DEFAULT
    request.inputs["examples"].CopyFrom(tf.make_tensor_proto(list(examples), tf.string))
    return prediction_log_pb2.PredictionLog(
        predict_log=prediction_log_pb2.PredictLog(request=request)
    )


def write_warmup(folder: Path, requests: Sequence[prediction_log_pb2.PredictionLog]) -> None:
    """Writes the warm-up file into `assets.extra`; no file when there is no request."""
    if not requests:
        return
    with tf.io.TFRecordWriter(str(folder / WARMUP_FILE)) as writer:
        for request in requests:
            writer.write(request.SerializeToString(deterministic=True))
