"""The weights to go back to."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf


class BestWeights(tf.Module):
    """A copy of some variables as they were when last kept, in the host's memory."""

    def __init__(self, variables: Sequence[tf.Variable]) -> None:
        super().__init__()
        self._originals = tuple(variables)
        with tf.device("CPU:0"):
            self._copies = [tf.Variable(v, trainable=False) for v in self._originals]

    def keep(self) -> None:
        """Copies the variables as they are now."""
        for copy, original in zip(self._copies, self._originals, strict=True):
            copy.assign(original)

    def put_back(self) -> None:
        """Sets the variables to the copy."""
        for copy, original in zip(self._copies, self._originals, strict=True):
            original.assign(copy)
