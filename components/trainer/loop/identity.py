"""What decides the outcome of a training, as one name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from components.trainer.data.columns import Columns
from components.trainer.settings import Recipe

UNRELATED = frozenset(
    {
        "checkpoint_every_seconds",
        "checkpoint_every_steps",
        "keep_checkpoints",
        "checkpoint_dir",
        "checkpoint_days",
        "warm_start",
        "cold_every",
        "devices",
        "input",
        "input_dir",
    }
)
"""Training settings that change nothing, or nothing but the initial weights."""


def training_identity(
    splits: Iterable[Columns],
    initial: Iterable[tf.Variable],
    recipe: Recipe,
    code: str,
) -> str:
    """Thirty-two hex digits over the examples, the initial weights, the settings and the code.

    Contents are taken rather than places: what an interrupted run read is found again whatever
    folder the next one has it in, and other contents in the same folder never pass for it.
    """
    digest = hashlib.sha256()
    settings = {
        "model": recipe.model.model_dump(mode="json"),
        "loss": recipe.loss.model_dump(mode="json"),
        "training": recipe.training.model_dump(mode="json", exclude=set(UNRELATED)),
        "code": code,
        "tensorflow": tf.__version__,
    }
    digest.update(json.dumps(settings, sort_keys=True).encode())
    for variable in initial:
        _add(digest, variable.name, variable.numpy())
    for columns in splits:
        for _, block in columns.blocks():
            for name, values in block.arrays.items():
                _add(digest, name, values)
    return digest.hexdigest()[:32]


def _add(digest: hashlib._Hash, name: str, values: np.ndarray) -> None:
    digest.update(f"{name} {values.dtype} {values.shape}".encode())
    digest.update(np.ascontiguousarray(values).data)
