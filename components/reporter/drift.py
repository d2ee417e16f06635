"""How a run's assignment differs from that of the last pushed version."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

NEW, GONE = "new", "gone"
SHOWN_SETUPS = 10


@dataclass(frozen=True)
class Move:
    """Setups that went from one task of the routing table to another.

    Attributes:
      before, after: tasks; `before` of a new setup is `new`, `after` of one that is gone `gone`.
      setups: how many.
      clicks: observed clicks on them, of the later table, for setups that are gone of the earlier.
    """

    before: str
    after: str
    setups: int
    clicks: int


@dataclass(frozen=True)
class MovedSetup:
    """A setup of both tables that has another task than before."""

    setup_id: str
    before: str
    after: str
    cvr_before: float
    cvr_after: float
    clicks: int


@dataclass(frozen=True)
class AssignmentDrift:
    """Two routing tables side by side.

    Attributes:
      moves: changes of task first, then new, gone and unchanged setups, by clicks.
      moved: the setups that changed task, most clicks first, as many as are shown.
      clicks: observed clicks of the later table.
      cvrs: (CVR before, CVR after, whether the task changed) of the setups of both.
    """

    moves: Sequence[Move]
    moved: Sequence[MovedSetup]
    clicks: int
    cvrs: Sequence[tuple[float, float, bool]]

    def setups(self, kind: str) -> int:
        """How many setups changed (`changed`), are `new`, `gone` or the `same`."""
        return sum(move.setups for move in self.moves if kind_of(move) == kind)

    def clicks_on(self, kind: str) -> int:
        """Clicks on the setups of a kind, see `setups`."""
        return sum(move.clicks for move in self.moves if kind_of(move) == kind)


def kind_of(move: Move) -> str:
    """`changed`, `new`, `gone` or `same`."""
    if move.before == NEW:
        return NEW
    if move.after == GONE:
        return GONE
    return "same" if move.before == move.after else "changed"


def assignment_drift(before: pa.Table | None, after: pa.Table | None) -> AssignmentDrift | None:
    """What changed from one routing table to another; none unless both are there.

    Args:
      before, after: tables with setup_id, task, historical_cvr and, where known,
        observed_clicks.
    """
    if before is None or after is None:
        return None
    old, new = _by_setup(before), _by_setup(after)
    setups: Counter[tuple[str, str]] = Counter()
    clicks: Counter[tuple[str, str]] = Counter()
    for setup in {**new, **old}:
        was, now = old.get(setup), new.get(setup)
        pair = (was["task"] if was else NEW, now["task"] if now else GONE)
        setups[pair] += 1
        clicks[pair] += (now or was or {})["observed_clicks"]
    moves = [Move(*pair, count, clicks[pair]) for pair, count in setups.items()]
    order = ("changed", NEW, GONE, "same")
    both = [(setup, old[setup], new[setup]) for setup in new if setup in old]
    moved = [
        MovedSetup(
            setup,
            was["task"],
            now["task"],
            was["historical_cvr"],
            now["historical_cvr"],
            now["observed_clicks"],
        )
        for setup, was, now in both
        if was["task"] != now["task"]
    ]
    return AssignmentDrift(
        moves=sorted(moves, key=lambda m: (order.index(kind_of(m)), -m.clicks, m.before, m.after)),
        moved=sorted(moved, key=lambda m: (-m.clicks, m.setup_id))[:SHOWN_SETUPS],
        clicks=sum(row["observed_clicks"] for row in new.values()),
        cvrs=[
            (was["historical_cvr"], now["historical_cvr"], was["task"] != now["task"])
            for _, was, now in both
            if was["historical_cvr"] is not None and now["historical_cvr"] is not None
        ],
    )


def _by_setup(table: pa.Table) -> dict[str, Mapping[str, Any]]:
    columns = ["setup_id", "task", "historical_cvr"]
    known = "observed_clicks" in table.column_names
    rows = table.select([*columns, "observed_clicks"] if known else columns).to_pylist()
    return {row["setup_id"]: {"observed_clicks": 0, **row} for row in rows}
