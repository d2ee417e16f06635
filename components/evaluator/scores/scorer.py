"""An exported serving graph, called as a model server calls it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from common.versions.signatures import EXAMPLES, PROBABILITY, RAW, SERVING_DEFAULT


class ModelError(ValueError):
    """A SavedModel that cannot be loaded, or lacks the signature, or gives no probabilities."""


class GraphScorer:
    """Predicted probabilities of serialized tf.Examples.

    Args:
      name: the model's name, for errors.
      path: folder that holds `saved_model.pb`.

    Raises:
      ModelError: the model cannot be loaded or has no signature `serving_default` from `examples`
        to `probability`.
    """

    def __init__(self, name: str, path: str) -> None:
        self.name = name
        try:
            # The signatures call back into the loaded object: both must stay alive.
            self._model = tf.saved_model.load(path)
        except (OSError, ValueError, tf.errors.OpError) as error:
            raise ModelError(
                f"model {name}: {path} cannot be loaded: {first_line(error)}"
            ) from error
        self._signatures: dict[str, Any] = dict(self._model.signatures)
        serving = self._signatures.get(SERVING_DEFAULT)
        if serving is None:
            raise ModelError(f"model {name}: {path} has no signature {SERVING_DEFAULT!r}")
        inputs = serving.structured_input_signature[1]
        if set(inputs) != {EXAMPLES} or PROBABILITY not in serving.structured_outputs:
            raise ModelError(
                f"model {name}: signature {SERVING_DEFAULT!r} of {path} goes from {sorted(inputs)} "
                f"to {sorted(serving.structured_outputs)}; wanted from {EXAMPLES!r} to "
                f"{PROBABILITY!r}"
            )
        self._serving = serving

    @property
    def raw_inputs(self) -> dict[str, tf.DType] | None:
        """Feature columns that the model reads, and their types; none if it does not tell."""
        raw = self._signatures.get(RAW)
        if raw is None:
            return None
        # The signature's own keys have other characters than letters and digits replaced.
        return {spec.name: spec.dtype for spec in raw.structured_input_signature[1].values()}

    def __call__(self, records: list[bytes]) -> npt.NDArray[np.float32]:
        """Probabilities [n] of n serialized tf.Examples; NaN is passed on.

        Raises:
          ModelError: the graph refuses the examples, or gives another shape, or a value outside
            [0, 1].
        """
        try:
            output = self._serving(**{EXAMPLES: tf.constant(records)})[PROBABILITY].numpy()
        except tf.errors.OpError as error:
            raise ModelError(
                f"model {self.name} refuses the examples: {first_line(error)}"
            ) from error
        if output.shape != (len(records),):
            raise ModelError(
                f"model {self.name}: {PROBABILITY} has shape {output.shape}, "
                f"wanted ({len(records)},)"
            )
        if bool((output < 0.0).any() or (output > 1.0).any()):
            worst = output[np.nanargmax(np.abs(output - 0.5))]
            raise ModelError(f"model {self.name}: {PROBABILITY} is {worst}, wanted within [0, 1]")
        scores: npt.NDArray[np.float32] = output.astype(np.float32)
        return scores


def first_line(error: Exception) -> str:
    """The first line of an error, which TensorFlow may continue with a graph's trace."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
