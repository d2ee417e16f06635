"""Reads a click log into the lab's sums, without any pipeline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from common.clicks.rows import Fault, conversion_times, first_in_words
from common.days import SECONDS_PER_DAY, to_day
from common.pages.text import counted
from components.example_gen.labels import count_labels, unseen_labels
from components.example_gen.readers.normalise import normalise
from components.example_gen.readers.plain import open_source
from components.example_gen.readers.source import Window
from components.task_labeler.decide.counts import count_clicks, merge_counts
from labs.stability_lab.log.cells import LabLog, Progress, build_log
from schemas.contract import Contract
from schemas.errors import InputError
from schemas.setup_id import setup_ids

BY_DAY = ("setup_id", "day")
MERGE_EVERY = 64
"""Batches whose partial sums may wait to be merged: bounds memory."""


@dataclass(frozen=True)
class RowCounts:
    """What became of a log's rows.

    Attributes:
      sound: inside the window, and as the contract wants them.
      bad: break it; they count for the window, wherever they are.
      outside: sound ones outside the window.
      rules: rows by broken rule, "column: wanted ..." (a row may break several).
      first_fault: the first bad row in words, empty without any.
      shards: files, or an adapter's parts.
      labels: rows of the window by their label's name, see `count_labels`.
    """

    sound: int
    bad: int
    outside: int
    rules: Mapping[str, int]
    first_fault: str
    shards: int
    labels: Mapping[str, int]

    @property
    def rows(self) -> int:
        """Rows of the window, sound or not."""
        return self.sound + self.bad

    def refused(self, most: float) -> str:
        """Why a run stops at more bad rows than the share allows; empty where it does not."""
        if self.bad <= most * self.rows:
            return ""
        return (
            f"{self.first_fault} [{self.bad:,} of {counted(self.rows, 'row')} break the contract; "
            f"max_bad_row_share allows {most:.3%}]"
        )


def read_log(
    contract: Contract,
    root: Path,
    as_of: date,
    window_days: int,
    max_bad_row_share: float,
    progress: Progress | None = None,
) -> LabLog:
    """Reads the clicks of the `window_days` before `as_of`, with what had been seen by then.

    Raises:
      InputError: a file or column is missing or wrong, the window holds no click, none of the
        contract's positive labels is seen, or more rows break the contract than
        `max_bad_row_share` allows.
    """
    log, counts = scan_log(contract, root, as_of, window_days, progress)
    unseen_labels(counts.labels, contract)
    if refused := counts.refused(max_bad_row_share):
        raise InputError(refused)
    if log is None:
        window = Window.before(as_of, window_days)
        raise InputError(
            f"contract {contract.name}: no click between {window.start} and {window.days[-1]}; "
            "wanted at least one: mind as_of, window_days and input.root"
        )
    return log


def scan_log(
    contract: Contract,
    root: Path,
    as_of: date,
    window_days: int,
    progress: Progress | None = None,
) -> tuple[LabLog | None, RowCounts]:
    """As `read_log`, whatever its rows are; no log where no row of the window is sound.

    Raises:
      InputError: a file or column is missing or wrong.
    """
    window = Window.before(as_of, window_days)
    source = open_source(contract, root, window)
    counts: list[pa.Table] = []
    spend: list[pa.Table] = []
    owners: list[pa.Table] = []
    rules: Counter[str] = Counter()
    labels: dict[str, int] = {}
    rows = bad = outside = 0
    first_fault = ""
    shards = source.shards()
    for number, shard in enumerate(shards, 1):
        before = 0
        for batch in source.read(shard):
            read = normalise(batch, contract, shard)
            faults = read.broken_rules(contract)
            count_labels(labels, read, contract, window)
            if faults and not first_fault:
                first_fault = first_in_words(faults, read.batch, shard, before)
            for fault in faults:
                rules[f"{fault.column}: wanted {fault.wanted}"] += int(fault.rows.sum())
            before += batch.num_rows
            sound, faulty = _sound(read.batch, faults, contract, window)
            rows, bad = rows + sound.num_rows, bad + faulty
            outside += batch.num_rows - sound.num_rows - faulty
            if sound.num_rows == 0:
                continue
            partial, spent, owned = _partial_sums(sound, contract, to_day(as_of))
            counts.append(partial)
            spend += spent
            owners += owned
            if len(counts) >= MERGE_EVERY:
                counts, spend = [merge_counts(counts)], _merged_spend(spend)
                owners = _merged_owners(owners)
        if progress is not None:
            progress(number, len(shards))
    row_counts = RowCounts(rows, bad, outside, dict(rules), first_fault, len(shards), labels)
    if not rows:
        return None, row_counts
    log = build_log(
        merge_counts(counts),
        to_day(as_of),
        contract.attribution_window_days,
        next(iter(_merged_spend(spend)), None),
        next(iter(_merged_owners(owners)), None),
        bad,
    )
    return log, row_counts


def _sound(
    batch: pa.RecordBatch, faults: Sequence[Fault], contract: Contract, window: Window
) -> tuple[pa.RecordBatch, int]:
    """The window's rows that keep to the contract, and how many rows do not."""
    bad = np.zeros(batch.num_rows, bool)
    for fault in faults:
        bad |= fault.rows
    time = pc.fill_null(batch.column(contract.roles.timestamp), 0).to_numpy()
    start, end = window.seconds
    return batch.filter(pa.array((time >= start) & (time < end) & ~bad)), int(bad.sum())


def _partial_sums(
    batch: pa.RecordBatch, contract: Contract, as_of: int
) -> tuple[pa.Table, list[pa.Table], list[pa.Table]]:
    roles = contract.roles
    blank = pa.array(np.full(batch.num_rows, ""), pa.string())

    def text(column: str | None) -> pa.Array:
        return blank if column is None else pc.fill_null(batch.column(column), "")

    setup = setup_ids([batch.column(c) for c in roles.setup])
    time = batch.column(roles.timestamp).to_numpy()
    seen = conversion_times(batch, contract, as_of * SECONDS_PER_DAY)
    counts = count_clicks(
        setup, text(roles.conversion_category), text(roles.advertiser_type), time, seen
    )
    day = pa.array(time // SECONDS_PER_DAY)
    spend, owners = [], []
    if roles.spend is not None:
        cost = pc.fill_null(batch.column(roles.spend), 0.0)
        spend = _merged_spend([pa.table([setup, day, cost], [*BY_DAY, "spend"])])
    if roles.advertiser is not None:
        owner = pa.table([setup, text(roles.advertiser), day], ["setup_id", "advertiser", "day"])
        owners = _merged_owners([owner])
    return counts, spend, owners


def _merged_spend(tables: list[pa.Table]) -> list[pa.Table]:
    if not tables:
        return []
    merged = pa.concat_tables(tables).group_by(list(BY_DAY)).aggregate([("spend", "sum")])
    return [merged.select([*BY_DAY, "spend_sum"]).rename_columns([*BY_DAY, "spend"])]


def _merged_owners(tables: list[pa.Table]) -> list[pa.Table]:
    if not tables:
        return []
    keys = ["setup_id", "advertiser"]
    merged = pa.concat_tables(tables).group_by(keys).aggregate([("day", "min")])
    return [merged.select([*keys, "day_min"]).rename_columns([*keys, "day"])]
