"""The predictions table: one row per evaluated example, one column per model."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from common.statistics.bootstrap import Scored
from schemas import labelled

CLICK_TIME = "click_time"
LABEL = "label"

CANDIDATE = "candidate"
ONE_TASK = "one_task"
LAST_BLESSED = "last_blessed"
LOGISTIC = "logistic"
"""The penalised logistic regression that the Trainer exports beside the candidate."""
HISTORICAL_CVR = labelled.HISTORICAL_CVR
"""The labeller's CVR of the setup, as a prediction."""
AS_SERVED = "as_served"
"""The candidate where the routing table of the click's day says hard, else the one-task model."""
REFERENCES = (LOGISTIC, HISTORICAL_CVR)
"""What a candidate has to beat to be worth its keep."""
MODELS = (CANDIDATE, ONE_TASK, LAST_BLESSED, *REFERENCES, AS_SERVED)
"""Every model that may be evaluated, in the order of reports."""


def prediction_column(model: str) -> str:
    """The column of a model's predicted probabilities, float32."""
    return f"p_{model}"


def evaluated(graphs: Iterable[str]) -> tuple[str, ...]:
    """The models that are evaluated where there are graphs of some: those, and the ones that need
    none of their own."""
    have = {*graphs, HISTORICAL_CVR, AS_SERVED}
    return tuple(model for model in MODELS if model in have)


def models_of(schema: pa.Schema) -> tuple[str, ...]:
    """The models that have a column in the table."""
    return tuple(model for model in MODELS if prediction_column(model) in schema.names)


def table_schema(slice_columns: tuple[str, ...], models: tuple[str, ...]) -> pa.Schema:
    """`setup_id` string, `click_time` int64 (s since 1970-01-01), `label` int8, the slice columns
    as strings and `p_<model>` float32."""
    strings = [labelled.SETUP_ID, *(c for c in slice_columns if c != labelled.SETUP_ID)]
    return pa.schema(
        [
            *((column, pa.string()) for column in strings[:1]),
            (CLICK_TIME, pa.int64()),
            (LABEL, pa.int8()),
            *((column, pa.string()) for column in strings[1:]),
            *((prediction_column(model), pa.float32()) for model in models),
        ]
    )


def scored_examples(table: pa.Table) -> Scored:
    """The predictions table as arrays, setups numbered in the order they first appear."""
    codes = table.column(labelled.SETUP_ID).combine_chunks().dictionary_encode()
    if isinstance(codes, pa.ChunkedArray):
        codes = codes.unify_dictionaries().chunk(0)
    return Scored(
        codes.indices.to_numpy().astype(np.int64),
        len(codes.dictionary),
        table.column(LABEL).to_numpy().astype(np.float64),
        {
            model: table.column(prediction_column(model)).to_numpy().astype(np.float64)
            for model in models_of(table.schema)
        },
    )
