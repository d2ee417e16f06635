"""Other assignments of the same examples: by other settings of the labeller, or by category."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from common.arrays import Bools
from common.days import SECONDS_PER_DAY, to_day
from common.files.arrow import parquet_table
from components.evaluator.scores.table import CLICK_TIME
from components.task_labeler.settings import LabellingSettings
from labs.experiment.studies.arms import Assignment, ByCategory, ByHistory
from labs.experiment.trainings.data import FrozenData, digest, move_into_place
from labs.stability_lab.replay.replay import changed
from schemas import labelled
from schemas.contract import Contract
from schemas.errors import InputError
from schemas.labelled import JUDGED_SPLITS, TRAIN

COUNTS, DELAYS = "counts.parquet", "delays.parquet"
FACTS = "assignment.json"


@dataclass(frozen=True)
class Log:
    """The log behind a data set.

    Attributes:
      examples: folder of the click log's examples; None where another component read the log.
      as_of: the run's day.
      labelling: the run's settings.
      root: folder of the raw log, where a simulator's truth may lie.
    """

    examples: str | None
    contract: Contract
    as_of: date
    labelling: LabellingSettings
    root: Path


@dataclass(frozen=True)
class Assigned:
    """An assignment of all splits.

    Attributes:
      folder: holds `<split>.npy`, bool [n], true for hard examples.
      digest: of those arrays.
      facts: `hard_share` of the examples by split, and where the labeller assigned `flips` and
        `churned_clicks` over the whole log.
    """

    folder: Path
    digest: str
    facts: dict[str, Any]


def assigned(rule: Assignment, data: FrozenData, log: Log) -> Assigned:
    """The assignment by a rule, made once and kept in the data set's folder.

    Raises:
      InputError: the run has no click keys, no categories or no truth that the rule needs, or a
        split would hold no hard example.
    """
    name = sha256(repr(rule).encode() + log.labelling.model_dump_json().encode()).hexdigest()[:16]
    folder = data.folder / "assignments" / name
    if not (folder / FACTS).is_file():
        staging = folder.with_name(f".{name}.partial-{os.getpid()}")
        staging.mkdir(parents=True)
        try:
            _write(rule, data, log, staging)
            move_into_place(staging, folder)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    sides = [np.load(folder / f"{split}.npy") for split in JUDGED_SPLITS]
    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    return Assigned(folder, digest(np.concatenate(sides)), facts)


def _write(rule: Assignment, data: FrozenData, log: Log, folder: Path) -> None:
    if isinstance(rule, ByHistory):
        sides, facts = _by_history(rule, data, log)
    else:
        sides, facts = _by_category(rule, data, log), {}
    for split, hard in sides.items():
        if not hard.any():
            raise InputError(
                f"assignment {asdict(rule)}: no example of {split} is hard; wanted some"
            )
        np.save(folder / f"{split}.npy", hard)
    facts["hard_share"] = {split: float(hard.mean()) for split, hard in sides.items()}
    (folder / FACTS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def _by_history(
    rule: ByHistory, data: FrozenData, log: Log
) -> tuple[dict[str, Bools], dict[str, Any]]:
    from components.task_labeler.calendar import Calendar
    from components.task_labeler.decide.assign import assign_log
    from components.task_labeler.passes.label import HistoryLookup
    from components.task_labeler.settings import as_labelled
    from labs.stability_lab.replay.replay import ungrouped

    counts, _ = log_counts(data, log)
    settings = as_labelled(changed(log.labelling, **dict(rule.changes)), log.contract)
    first, as_of = int(pc.min(counts["day"]).as_py()), to_day(log.as_of)
    if not rule.grouped:
        counts = ungrouped(counts)
    history, totals = assign_log(
        counts, Calendar(first, as_of), log.contract.attribution_window_days, settings
    )
    lookup, hard = HistoryLookup(history), history["hard"].to_numpy()
    sides = {}
    for split in JUDGED_SPLITS:
        facts = data.facts(split)
        day = facts[CLICK_TIME].to_numpy() // SECONDS_PER_DAY
        setup = facts[labelled.SETUP_ID].cast(pa.string()).combine_chunks()
        sides[split] = hard[lookup.rows(setup, day)]
    whole = {name: int(values.sum()) for name, values in totals.by_day.items()}
    return sides, {name: whole[name] for name in ("flips", "churned_clicks")}


def log_counts(data: FrozenData, log: Log) -> tuple[pa.Table, pa.Table]:
    """The log's clicks summed by setup, day and delay, and its conversions by how long they took
    (`task_labeler.passes.counts`); read once and kept in the data set's folder.

    Raises:
      InputError: the log is not there.
    """
    from common.clicks.tfrecords import shard_files
    from components.task_labeler.decide.counts import merge_counts, merge_delays
    from components.task_labeler.passes.clicks import ClickReader

    files = data.folder / COUNTS, data.folder / DELAYS
    if all(file.is_file() for file in files):
        return parquet_table(files[0]), parquet_table(files[1])
    if log.examples is None:
        raise InputError(
            "the run's log was read by another component than ClickLogGen, which keeps no columns "
            "of its clicks; wanted a run on files"
        )
    reader = ClickReader(log.contract, to_day(log.as_of) * SECONDS_PER_DAY)
    parts = [reader.counts(shard) for shard in shard_files(f"{log.examples}/Split-log")]
    counts = merge_counts([of_clicks for of_clicks, _ in parts])
    delays = merge_delays([of_delays for _, of_delays in parts])
    for file, table in zip(files, (counts, delays), strict=True):
        staging = file.with_suffix(".partial")
        pq.write_table(table, staging)
        os.replace(staging, file)
    return counts, delays


def _by_category(rule: ByCategory, data: FrozenData, log: Log) -> dict[str, Bools]:
    from labs.experiment.trainings.truth import has_truth, true_types

    if rule.true and not has_truth(log.root):
        raise InputError(f"{log.root}: no truth beside the log; wanted a simulated log")
    if not rule.true and log.contract.roles.conversion_category is None:
        raise InputError(
            f"contract {log.contract.name}: has no conversion_category; wanted one to assign by"
        )
    types = true_types(log.root) if rule.true else {}

    def categories(split: str) -> npt.NDArray[np.str_]:
        facts = data.facts(split)
        column = labelled.SETUP_ID if rule.true else labelled.CATEGORY
        names = facts[column].cast(pa.string()).to_pylist()
        return np.array([types[name] for name in names] if rule.true else names)

    names, place = np.unique(categories(TRAIN), return_inverse=True)
    sides = data.columns(TRAIN).hard
    share = np.bincount(place, sides, len(names)) / np.bincount(place, minlength=len(names))
    hard = names[share > 0.5]
    return {split: np.isin(categories(split), hard) for split in JUDGED_SPLITS}
