"""The simulator's true probabilities, joined to examples."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from common.arrays import Bools, Floats, Ints
from common.days import SECONDS_PER_DAY, to_date
from components.evaluator.scores.table import CLICK_TIME, LABEL
from labs.simulator.log.truth import read_setups, read_truth
from labs.simulator.simulate import SETUPS
from schemas import labelled
from schemas.errors import InputError


def has_truth(root: Path) -> bool:
    """Whether a simulated log with its truth lies in a folder."""
    return (root / SETUPS).is_file()


class Truth(NamedTuple):
    """Of examples [n]: the probability with which each click converts, and whether it does."""

    probability: Floats
    label: Ints


def join_truth(root: Path, facts: pa.Table, mature: bool = True) -> Truth:
    """What a simulated log hides of examples.

    Examples do not carry the click's number: they are told apart by setup, second and label, and
    within those by their order, which is the log's.

    Args:
      root: folder of the simulated log.
      facts: as `examples.read_facts` returns them, of whole days.
      mature: whether all conversions had been observed; otherwise labels tell no examples apart.

    Raises:
      InputError: the days' clicks are not those of the examples.
    """
    time = facts[CLICK_TIME].to_numpy()
    first, last = (to_date(int(t) // SECONDS_PER_DAY) for t in (time.min(), time.max()))
    truth = read_truth(root, first, last + timedelta(days=1))
    names = pa.array(sorted(pc.unique(truth["setup_id"]).to_pylist()))
    label, in_the_end = facts[LABEL].to_numpy(), truth["label"].to_numpy()
    setup = facts[labelled.SETUP_ID].cast(pa.string())
    mine = _keys(setup, names, time, label if mature else None)
    theirs = _keys(
        truth["setup_id"],
        names,
        truth["timestamp"].to_numpy(),
        in_the_end if mature else None,
    )
    my_order, their_order = (np.lexsort(keys) for keys in (mine, theirs))
    same = len(my_order) == len(their_order) and all(
        np.array_equal(a[my_order], b[their_order]) for a, b in zip(mine, theirs, strict=True)
    )
    if not same:
        raise InputError(
            f"{root}: the {len(their_order):,} clicks of {first} .. {last} are not those of the "
            f"{len(my_order):,} examples; wanted the log that the run was made from"
        )
    place = np.empty(len(time), np.int64)
    place[my_order] = their_order
    return Truth(truth["probability"].to_numpy()[place], in_the_end[place].astype(np.int64))


def true_sides(root: Path, facts: pa.Table, alpha: float) -> Bools:
    """Whether the true CVR of each example's setup on its day is at most alpha, bool [n].

    Raises:
      InputError: a setup's CVR is not known on a day.
    """
    setups = read_setups(root)
    names = pa.array(sorted(pc.unique(setups["setup_id"]).to_pylist()))
    day = facts[CLICK_TIME].to_numpy() // SECONDS_PER_DAY
    known_day = setups["date"].cast("int32").to_numpy().astype(np.int64)
    first, days = int(known_day.min()), int(known_day.max() - known_day.min()) + 1
    cvr = np.full((len(names), days), np.nan)
    cvr[_places(setups["setup_id"], names), known_day - first] = setups["cvr"].to_numpy()
    inside = (day >= first) & (day < first + days)
    place = _places(facts[labelled.SETUP_ID].cast(pa.string()), names)
    true_cvr = np.where(inside, cvr[place, np.clip(day - first, 0, days - 1)], np.nan)
    if np.isnan(true_cvr).any() or (place < 0).any():
        raise InputError(
            f"{root / SETUPS}: no true CVR of some setups on some days of the examples"
        )
    return true_cvr <= alpha


def true_types(root: Path) -> dict[str, str]:
    """What each setup truly counts, whatever its declared category says."""
    setups = read_setups(root)
    names, kinds = setups["setup_id"].to_pylist(), setups["true_type"].to_pylist()
    return dict(zip(names, kinds, strict=True))


def _keys(
    setup: pa.ChunkedArray, names: pa.Array, time: Ints, label: npt.NDArray[np.generic] | None
) -> tuple[Ints, Ints, Ints]:
    told = np.zeros(len(time), np.int64) if label is None else label.astype(np.int64)
    return told, time.astype(np.int64), _places(setup, names)


def _places(values: pa.ChunkedArray, names: pa.Array) -> Ints:
    index = pc.fill_null(pc.index_in(values, value_set=names), -1)
    places: Ints = index.to_numpy().astype(np.int64)
    return places
