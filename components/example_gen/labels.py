"""The labels that a contract names, held against those that its log has."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from components.example_gen.readers.normalise import Normalised
from components.example_gen.readers.source import Window
from schemas.contract import Contract
from schemas.errors import InputError

MOST = 10
"""Names of labels that are counted besides those of the contract."""


def count_labels(
    counted: dict[str, int], read: Normalised, contract: Contract, window: Window
) -> None:
    """Adds the window's rows by their label's name, sound rows or not; none where the contract
    names no labels."""
    if read.labels is None:
        return
    time = pc.fill_null(read.batch.column(contract.roles.timestamp), 0).to_numpy()
    start, end = window.seconds
    labels = read.labels.filter(pa.array((time >= start) & (time < end))).drop_null()
    for pair in pc.value_counts(labels):
        name, rows = pair["values"].as_py(), pair["counts"].as_py()
        if name in counted or name in contract.positive_labels or len(counted) < MOST:
            counted[name] = counted.get(name, 0) + rows


def unseen_labels(counted: Mapping[str, int], contract: Contract) -> str:
    """Which of the contract's positive labels no row has, in words; empty where each is seen, or no
    label at all.

    Raises:
      InputError: none of them is.
    """
    if isinstance(contract.positive_labels, str) or not counted:
        return ""
    unseen = [name for name in contract.positive_labels if name not in counted]
    if not unseen:
        return ""
    by_rows = sorted(counted, key=lambda name: -counted[name])
    seen = ", ".join(repr(name) for name in by_rows if name not in contract.positive_labels)
    words = (
        f"positive_labels: no row has {' or '.join(map(repr, unseen))} in column "
        f"{contract.roles.label}; labels seen: {seen or 'none other'}"
    )
    if len(unseen) == len(contract.positive_labels):
        raise InputError(f"contract {contract.name}: {words}")
    return words
