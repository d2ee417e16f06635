"""Signatures of a pushed SavedModel, for those who write, replay and call them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from schemas.base import Frozen

SERVING_DEFAULT = "serving_default"
"""Takes `EXAMPLES`, string [n], serialized tf.Examples."""

RAW = "raw"
"""Takes a [n] tensor a feature, named by `input_names`."""

PACKED = "packed"
"""Takes the same features side by side: `TEXT`, string [n, text features], and `NUMBERS`, float32
[n, number features], columns in the order of `PackedInputs`."""

PACKED_INPUTS = "packed_inputs.json"
"""Asset of a SavedModel that has `PACKED`: its `PackedInputs`."""

EXAMPLES = "examples"
TEXT, NUMBERS = "text", "numbers"
PROBABILITY = "probability"
"""What all answer, float32 [n]."""


class PackedInputs(Frozen):
    """Columns of `PACKED` in their order: of each contract's column, the name in `RAW`."""

    text: Mapping[str, str]
    numbers: Mapping[str, str]


def input_names(columns: Iterable[str]) -> dict[str, str]:
    """Inputs of `RAW` by column of the contract.

    An input is named after its column. Where TensorFlow does not take that name, characters that
    it refuses become `_`, and names that differ in nothing else, or only in case, get a number.
    """
    names: dict[str, str] = {}
    for column in columns:
        stem = name = re.sub(r"[^A-Za-z0-9_.-]", "_", column).lstrip("_-") or "input"
        number = 1
        while name.lower() in (taken.lower() for taken in names.values()):
            number += 1
            name = f"{stem}_{number}"
        names[column] = name
    return names
