"""Looks up where candidates go: hard tower, nowhere (soft) or the one-task model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from common.files.arrow import UNREADABLE, parquet_table
from common.routing.rules import RoutingSettings, UnknownSetups
from common.routing.serving_file import (
    PLAIN,
    map_serving_file,
    one_chunk,
    refuse_faults,
    serving_table,
    setup_keys,
)
from common.versions.reference import ASSETS_EXTRA, ROUTING_FILE
from schemas.checked import checked_json
from schemas.errors import InputError

PARQUET_FILE, SERVING_FILE, SETTINGS_FILE = ROUTING_FILE, "routing.arrow", "routing.json"
TASKS = ("hard", "soft", "fallback")
REMEMBERED = 100_000
"""Setups whose rows a table remembers, since traffic asks for the same ones again and again; when
there are more it begins anew. Ids that it does not hold are not remembered: anyone can make them
up."""


@dataclass(frozen=True)
class Routed:
    """Answers for n candidates.

    Attributes:
      task: object [n] of str, `hard`, `soft` or `fallback` (the one-task model).
      reason: object [n] of str, `history`, `prior`, `held`, `cold_start`, `pinned`, or of a
        setup that the table does not hold `unknown`, `unknown_category` or `unknown_type`.
      cvr: float64 [n], historical CVR of the setup, the prior of the rule that matched an unknown
        one, NaN where that rule has none.
    """

    task: npt.NDArray[np.object_]
    reason: npt.NDArray[np.object_]
    cvr: npt.NDArray[np.float64]


class RoutingTable:
    """The routing table of one serving version; safe to share between threads.

    `RoutingTable.load(Path("out/serving/<version>"))` has the table of a pushed version. By hand:

    >>> from common.routing.rules import UnknownRule
    >>> rows = {"setup_id": ["acme|buy"], "task": ["hard"], "reason": ["history"]}
    >>> routing = pa.table(rows | {"historical_cvr": [0.004]})
    >>> unknown = UnknownRule(category=None, advertiser_type=None, task="fallback")
    >>> settings = RoutingSettings(
    ...     assignment_id="a1",
    ...     alpha=0.01,
    ...     online_alpha=0.009,
    ...     setup=("advertiser", "goal"),
    ...     unknown_setups=(unknown,),
    ... )
    >>> table = RoutingTable(settings, serving_table(routing, "a1"))
    >>> routed = table.route(["acme|buy", "acme|sign-up"])
    >>> routed.task.tolist(), routed.reason.tolist()
    (['hard', 'fallback'], ['history', 'unknown'])
    """

    def __init__(self, settings: RoutingSettings, table: pa.Table) -> None:
        """
        Args:
          table: as `serving_file.serving_table` makes it.
        """
        self.settings = settings
        self.unknown = UnknownSetups(settings)
        columns = {name: one_chunk(table[name]) for name in table.column_names}
        self._setups: pa.Array = columns["setup_id"]
        self._keys: npt.NDArray[np.uint64] = columns["key"].to_numpy()
        self._cvr: npt.NDArray[np.float64] = np.append(columns["historical_cvr"].to_numpy(), np.nan)
        self._task, self._task_names = _codes(columns["task"])
        self._reason, self._reason_names = _codes(columns["reason"])
        self._found: dict[str, int] = {}

    @classmethod
    def load(cls, version_dir: Path) -> RoutingTable:
        """The table of a serving version.

        Maps `assets.extra/routing.arrow` where there is one, and reads
        `assets.extra/routing.parquet` otherwise.

        Raises:
          InputError: a file is missing, broken, or of another assignment than its settings.
        """
        extra = Path(version_dir) / ASSETS_EXTRA
        settings = _read_settings(extra / SETTINGS_FILE)
        path = extra / SERVING_FILE
        if path.is_file():
            table = map_serving_file(path)
            if (seen := table.schema.metadata[b"assignment_id"].decode()) != settings.assignment_id:
                raise InputError(
                    f"{path}: assignment_id {seen!r}; wanted {settings.assignment_id!r}, that of "
                    f"{SETTINGS_FILE}"
                )
        else:
            path = extra / PARQUET_FILE
            table = _read_parquet(path, settings.assignment_id)
        refuse_faults(table, path)
        if unknown := set(one_chunk(table["task"]).dictionary.to_pylist()) - set(TASKS):
            raise InputError(f"{path}: column task: {sorted(unknown)[0]!r}; wanted one of {TASKS}")
        return cls(settings, table)

    def __len__(self) -> int:
        """Number of setups."""
        return len(self._keys)

    @property
    def assignment_id(self) -> str:
        return self.settings.assignment_id

    def route(
        self,
        setup_ids: Sequence[str],
        categories: Sequence[str | None] | None = None,
        advertiser_types: Sequence[str | None] | None = None,
    ) -> Routed:
        """Where n candidates go.

        Args:
          setup_ids: n ids made by `schemas.setup_id.setup_id` of the `setup` columns' values.
          categories, advertiser_types: n each, of use for setups that the table does not hold;
            None where they are not known, or stand in the setup id.

        Raises:
          InputError: lengths differ, or an id is not text.
          CandidateError: an id is malformed, or holds another category or advertiser type.
        """
        n = len(setup_ids)
        for name, given in (("categories", categories), ("advertiser_types", advertiser_types)):
            if given is not None and len(given) != n:
                raise InputError(f"{name}: {len(given)} values for {n} setup ids; wanted as many")
        row = self._find(setup_ids)
        task = self._task_names[self._task[row]]
        reason = self._reason_names[self._reason[row]]
        cvr = self._cvr[row]
        unknown = np.flatnonzero(row < 0)
        said = (categories, advertiser_types)
        # What is said of a known setup decides nothing, and must be true all the same.
        asked = range(n) if self.unknown.deniable(*said) else unknown.tolist()
        key_of = self.unknown.keys(asked, setup_ids, *said)
        if unknown.size:
            keys = [key_of[i] for i in unknown.tolist()]
            rules = {key: self.unknown.rule(key) for key in set(keys)}
            priors = {key: rule.prior_cvr for key, (rule, _) in rules.items()}
            task[unknown] = [rules[key][0].task for key in keys]
            reason[unknown] = [rules[key][1] for key in keys]
            # None becomes NaN.
            cvr[unknown] = np.array([priors[key] for key in keys], np.float64)
        return Routed(task, reason, cvr)

    def remember(self) -> None:
        """Remembers all setups, unless they are too many, so that none is searched for later."""
        if len(self) <= REMEMBERED:
            setups = self._setups.to_numpy(zero_copy_only=False).tolist()
            self._found = dict(zip(setups, range(len(setups)), strict=True))

    def _find(self, setup_ids: Sequence[str]) -> npt.NDArray[np.int64]:
        """Row of each setup id, int64 [n], -1 where there is none."""
        try:
            rows = list(map(self._found.get, setup_ids))
        except TypeError as error:
            raise InputError(f"setup_ids: {error}; wanted text, one id a candidate") from None
        if None in rows:
            asked = [s for s, row in zip(setup_ids, rows, strict=True) if row is None]
            searched = self._search(asked).tolist()
            known = {s: row for s, row in zip(asked, searched, strict=True) if row >= 0}
            if len(self._found) + len(known) > REMEMBERED:
                self._found = {}
            self._found |= known
            rest = iter(searched)
            rows = [next(rest) if row is None else row for row in rows]
        return np.array(rows, np.int64)

    def _search(self, setup_ids: Sequence[str]) -> npt.NDArray[np.int64]:
        """As `_find`, by bisection."""
        try:
            wanted = pa.array(setup_ids, pa.string())
            keys = setup_keys(setup_ids)
        except (UnicodeError, AttributeError, pa.ArrowException) as error:
            raise InputError(f"setup_ids: {error}; wanted text, one id a candidate") from None
        row_of = np.full(len(keys), -1, np.int64)
        place = np.searchsorted(self._keys, keys)
        open_ = np.arange(len(keys))
        # Setups may share a key, so that a row counts only when its id is the same too.
        while open_.size:
            inside = place[open_] < len(self._keys)
            open_ = open_[inside]
            open_ = open_[self._keys[place[open_]] == keys[open_]]
            near = pa.array(place[open_])
            same = pc.equal(self._setups.take(near), wanted.take(pa.array(open_)))
            hit = same.to_numpy(zero_copy_only=False).astype(bool)
            row_of[open_[hit]] = place[open_[hit]]
            open_ = open_[~hit]
            place[open_] += 1
        return row_of


def _read_settings(path: Path) -> RoutingSettings:
    try:
        text = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path}: {error.strerror}; wanted the settings of a routing table"
        ) from None
    return checked_json(RoutingSettings, text, str(path))


def _read_parquet(path: Path, assignment_id: str) -> pa.Table:
    if not path.is_file():
        raise InputError(f"{path}: no such file; wanted a routing table")
    try:
        routing = parquet_table(path)
        if missing := sorted(set(PLAIN) - set(routing.column_names)):
            raise InputError(f"{path}: no column {missing[0]}; wanted {', '.join(PLAIN)}")
        if routing["setup_id"].null_count:
            raise InputError(f"{path}: column setup_id: a null; wanted none")
        return serving_table(routing, assignment_id)
    except UNREADABLE as error:
        raise InputError(f"{path}: not a parquet file of a routing table: {error}") from None


def _codes(
    column: pa.DictionaryArray,
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.object_]]:
    """Codes and the texts that they stand for.

    One more row stands at the end for setups that are not there.
    """
    codes = np.append(column.indices.to_numpy(), np.int8(0))
    return codes, np.array(column.dictionary.to_pylist() or [""], object)
