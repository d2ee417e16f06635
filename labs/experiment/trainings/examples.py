"""What labelled examples say of themselves, beside their transformed columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from common.clicks.one_valued import single_values
from common.clicks.rows import NO_CONVERSION
from common.files.arrow import parquet_file
from components.evaluator.scores.table import CLICK_TIME, LABEL
from schemas import labelled
from schemas.contract import Contract

ADVERTISER, CONVERSION_TIME = "advertiser", "conversion_time"


def read_facts(files: Sequence[str], contract: Contract) -> pa.Table:
    """Who and when of every example, in the order in which `load_columns` reads them.

    Args:
      files: Parquet files of one split of the labeller's columns, sorted by name.

    Returns:
      `setup_id`, `setup_category`, `advertiser` (dictionary-encoded strings, the empty string
      where there is none), `click_time` (int64, seconds since 1970-01-01), `label` (int64, what
      had been observed by the run's as-of day) and, where the contract has it, `conversion_time`
      (int64, -1 where none had been observed).
    """
    roles = contract.roles
    columns = {labelled.SETUP_ID: labelled.SETUP_ID, labelled.CATEGORY: labelled.CATEGORY}
    if roles.advertiser is not None:
        columns[ADVERTISER] = roles.advertiser
    parts = []
    for file in files:
        times = [name for name in (roles.timestamp, roles.conversion_timestamp) if name]
        wanted = list(dict.fromkeys([*columns.values(), *times, roles.label]))
        for batch in parquet_file(file).iter_batches(columns=wanted):
            facts = {name: _text(batch, column) for name, column in columns.items()}
            if roles.advertiser is None:
                blank = pa.array([0] * batch.num_rows, pa.int32())
                facts[ADVERTISER] = pa.DictionaryArray.from_arrays(blank, pa.array([""]))
            facts[CLICK_TIME] = single_values(batch[roles.timestamp])
            facts[LABEL] = single_values(batch[roles.label])
            if roles.conversion_timestamp is not None:
                time = pc.fill_null(single_values(batch[roles.conversion_timestamp]), NO_CONVERSION)
                facts[CONVERSION_TIME] = pc.if_else(pc.equal(facts[LABEL], 1), time, NO_CONVERSION)
            parts.append(pa.table(facts))
    return pa.concat_tables(parts).unify_dictionaries().combine_chunks()


def codes(names: pa.ChunkedArray) -> tuple[npt.NDArray[np.int64], list[str]]:
    """A column of facts as places [n] in a list of its names."""
    encoded = names.unify_dictionaries().combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.chunk(0)
    if not pa.types.is_dictionary(encoded.type):
        encoded = encoded.dictionary_encode()
    return encoded.indices.to_numpy().astype(np.int64), encoded.dictionary.to_pylist()


def _text(batch: pa.RecordBatch, column: str) -> pa.DictionaryArray:
    values = single_values(batch[column]).cast(pa.binary()).cast(pa.string())
    return pc.fill_null(values, "").dictionary_encode()
