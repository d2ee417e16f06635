"""Whether the last blessed model can serve as the baseline."""

from __future__ import annotations

import tensorflow as tf

from components.evaluator.scores.scorer import GraphScorer, ModelError
from components.evaluator.scores.table import LAST_BLESSED
from schemas.contract import Contract
from schemas.labelled import NUMERIC_FEATURES


def why_unusable(path: str, contract: Contract, records: list[bytes]) -> str | None:
    """Why the model at `path` does not take the current examples; none when it does.

    A model that reads a column which the contract no longer has would score all examples with that
    feature missing, and lose for it: no fair baseline.

    Args:
      path: SavedModel folder.
      contract: the current contract.
      records: a few serialized examples, tried on the model.
    """
    try:
        scorer = GraphScorer(LAST_BLESSED, path)
        misfits = _misfits(scorer.raw_inputs or {}, contract)
        if misfits:
            return f"it reads {', '.join(misfits)}"
        scorer(records)
    except ModelError as error:
        return str(error)
    return None


def _misfits(inputs: dict[str, tf.DType], contract: Contract) -> list[str]:
    has = {
        **dict.fromkeys(contract.float_columns, tf.float32),
        **dict.fromkeys(contract.string_columns, tf.string),
        **dict.fromkeys(NUMERIC_FEATURES, tf.float32),
    }
    return [
        f"{name!r} as {dtype.name}, which the contract {_has(has.get(name))}"
        for name, dtype in sorted(inputs.items())
        if has.get(name) != dtype
    ]


def _has(dtype: tf.DType | None) -> str:
    return "does not have" if dtype is None else f"has as {dtype.name}"
