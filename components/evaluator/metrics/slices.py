"""Slices of the evaluation: which columns they need, and what they are called."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas import labelled
from schemas.contract import Contract
from schemas.errors import InputError

ALL = "all"
HARD = f"{labelled.TASK}={labelled.HARD}"

Columns = tuple[str, ...]
Pairs = tuple[tuple[str, str], ...]
"""Column and value of each column that a slice is cut by; none for the slice of all."""


def usable_slices(slices: Sequence[Columns], contract: Contract) -> tuple[Columns, ...]:
    """The slices that the contract's examples can fill, in the order given.

    Slices by conversion category or advertiser type are left out where the contract has no such
    role: they would repeat the slice of all examples under another name.

    Raises:
      InputError: a column is neither a field of the task labeller nor a string column.
    """
    known = {*labelled.BYTES_FIELDS, *contract.string_columns}
    for columns in slices:
        for column in columns:
            if column not in known:
                raise InputError(
                    f"evaluation.slices: {column!r} cannot be sliced by; wanted one of "
                    f"{', '.join(sorted(known))}"
                )
    roles = contract.roles
    empty = {
        column
        for column, role in (
            (labelled.CATEGORY, roles.conversion_category),
            (labelled.ADVERTISER_TYPE, roles.advertiser_type),
        )
        if role is None
    }
    return tuple(columns for columns in slices if not empty & set(columns))


def slice_columns(slices: Iterable[Columns]) -> Columns:
    """Every column that the slices need, each once."""
    return tuple(dict.fromkeys(column for columns in slices for column in columns))


def slice_name(pairs: Pairs) -> str:
    """`all`, or `column=value` joined by `&`.

    >>> slice_name((("task", "hard"), ("category", "purchase")))
    'task=hard&category=purchase'
    """
    return "&".join(f"{column}={value}" for column, value in pairs) or ALL


def within_hard(name: str) -> bool:
    """Whether a slice is a part of the hard examples, not the whole of them."""
    return name != HARD and HARD in name.split("&")


def split_by_slice(
    batch: pa.RecordBatch, slices: Sequence[Columns]
) -> Iterator[tuple[Pairs, npt.NDArray[np.intp]]]:
    """The rows of every slice in the batch.

    Args:
      batch: rows of the predictions table.
      slices: columns to slice by, crossed.

    Yields:
      The slice's columns in the order given with their values, and its row numbers, increasing.
    """
    if batch.num_rows == 0:
        return
    for columns in slices:
        cell = np.zeros(batch.num_rows, np.int64)
        for column in columns:
            codes = batch.column(column).dictionary_encode()
            mixed = cell * len(codes.dictionary) + codes.indices.to_numpy()
            # Renumbered each time, so that crossing many columns cannot overflow.
            _, cell = np.unique(mixed, return_inverse=True)
        order = np.argsort(cell, kind="stable")
        for rows in np.split(order, np.flatnonzero(np.diff(cell[order])) + 1):
            first = int(rows[0])
            yield tuple((c, batch.column(c)[first].as_py()) for c in columns), rows
