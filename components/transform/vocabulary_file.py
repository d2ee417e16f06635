"""The learned vocabularies as a transform graph, or a model made from it, carries them."""

from __future__ import annotations

import ast
import os

import tensorflow as tf

FILE = "vocabularies"
"""Asset of the transform graph. A line is key, id, number of the feature, count and value, with
tabs between; the value is spelt as a Python literal."""


def read_vocabularies(saved_model: str) -> dict[int, list[bytes]]:
    """Values in the order of their ids, by number of the feature among those with a vocabulary.

    Args:
      saved_model: a SavedModel that holds the transform graph; without the asset there are none.
    """
    path = os.path.join(saved_model, "assets", FILE)
    if not tf.io.gfile.exists(path):
        return {}
    by_field: dict[int, list[bytes]] = {}
    with tf.io.gfile.GFile(path, "r") as file:
        for line in file:
            parts = line.rstrip("\n").split("\t")
            # A file without any value holds one line of a key and an id that match nothing.
            if len(parts) == 5:
                by_field.setdefault(int(parts[2]), []).append(ast.literal_eval(parts[4]))
    return by_field
