"""The thinnest server of a SavedModel over TensorFlow Serving's API, as a peer of the service.

    python -m benchmarks.contestants.serve_grpc MODEL PORT

Answers `PredictionService.Predict` with the model's `serving_default` on serialized tf.Examples,
in two threads, on one thread a graph as the service has it. No routing, no second model, no
checks.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from common.versions.signatures import EXAMPLES, PROBABILITY, SERVING_DEFAULT

THREADS = 2


class Predict(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, model: str) -> None:
        self._model = tf.saved_model.load(model)
        self._signature = self._model.signatures[SERVING_DEFAULT]

    def Predict(self, request: Any, context: Any) -> Any:  # noqa: N802
        examples = tf.constant(list(request.inputs[EXAMPLES].string_val), tf.string)
        answer = self._signature(examples=examples)[PROBABILITY].numpy()
        response = predict_pb2.PredictResponse()
        response.outputs[PROBABILITY].CopyFrom(tf.make_tensor_proto(answer))
        return response


def main(model: str, port: str) -> None:
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    server = grpc.server(ThreadPoolExecutor(THREADS))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Predict(model), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main(*sys.argv[1:])
