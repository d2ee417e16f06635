"""Compares the decisions of a service with the offline assignment.

A decision is held against the run of `assignments.parquet` in force on its day: the last one of the
setup that began on that day or before. The day is that of the decision's time, or the last day of
the assignment where that is earlier: then the table was older than the decision.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterator
from datetime import date, datetime
from math import nan
from pathlib import Path
from typing import Any, Literal

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
from pydantic import ConfigDict

from common.days import FIRST_DAY, LAST_DAY
from common.files.arrow import UNREADABLE, parquet_table
from common.files.local import read_local_json
from common.routing.rules import UNKNOWN, UNKNOWN_CATEGORY, UNKNOWN_TYPE
from common.routing.table import TASKS
from schemas.base import Frozen
from schemas.checked import checked
from schemas.errors import InputError
from schemas.labelled import HARD

Cause = Literal[
    "unknown_category",
    "unknown_type",
    "other_assignment",
    "unknown_setup",
    "fallback",
    "threshold_band",
    "rest",
]

_LISTS = ("setup_id", "task", "reason")
_COLUMNS = pa.schema(
    [
        ("setup_id", pa.string()),
        ("first_day", pa.date32()),
        ("last_day", pa.date32()),
        ("task", pa.string()),
        ("reason", pa.string()),
        ("historical_cvr", pa.float64()),
    ]
)


class _Settings(Frozen):
    """What is looked at of the assignment's `settings.json`."""

    model_config = ConfigDict(extra="ignore")

    assignment_id: str | None = None
    alpha: float = nan
    online_alpha: float = nan


class Mismatches(Frozen):
    """Decisions of one kind whose task is not the offline one."""

    online_task: str
    online_reason: str
    offline_task: str
    """`none` where the offline assignment does not know the setup."""
    offline_reason: str
    cause: Cause
    """`unknown_category`, `unknown_type`: a setup that the service did not know came with a
    category or advertiser type that its table has no rule for, or none, and went by a wider rule.
    `other_assignment`: the service had the table of another assignment. `unknown_setup`: one of
    the two did not know the setup. `fallback`: sent to the one-task model by the cold-start policy.
    `threshold_band`: between the online threshold and alpha, where the two differ by design."""
    decisions: int
    share: float
    """Of all decisions."""


class Skew(Frozen):
    """The comparison."""

    decisions: int
    mismatches: int
    share: float
    """Mismatches over decisions; 0 without decisions."""
    beyond: int
    """Decisions on days after the offline assignment's last day."""
    bad_lines: int
    """Lines of the log that could not be read."""
    by_kind: tuple[Mismatches, ...]
    """Most frequent first."""


def compare(decisions: Path, assignments: Path) -> Skew:
    """Compares a decision log with a TaskAssignments artifact.

    Args:
      decisions: a log, see `service.routing.decisions`.
      assignments: folder with `assignments.parquet` and `settings.json`.

    Raises:
      InputError: a file is missing or is no such file, or the log holds no decision.
    """
    runs = _runs(assignments / "assignments.parquet")
    file = assignments / "settings.json"
    settings = checked(_Settings, read_local_json(file, {}), str(file))
    online, bad_lines = _decisions(decisions)
    last_day = runs["last_day"].max()
    online["beyond"] = online["day"] > last_day
    online["day"] = online["day"].clip(upper=last_day)
    joined = pd.merge_asof(
        online.sort_values("day", kind="stable"),
        runs.rename(columns={"task": "offline_task", "reason": "offline_reason"}),
        left_on="day",
        right_on="first_day",
        by="setup_id",
    )
    for column in ("offline_task", "offline_reason"):
        joined[column] = joined[column].fillna("none")
    wrong = joined[joined["task"] != joined["offline_task"]].copy()
    wrong["cause"] = _causes(wrong, settings)
    keys = ["task", "reason", "offline_task", "offline_reason", "cause"]
    sizes = wrong.groupby(keys).size().sort_values(ascending=False, kind="stable")
    kinds = sizes.rename("decisions").reset_index().itertuples(index=False)
    return Skew(
        decisions=len(joined),
        mismatches=len(wrong),
        share=len(wrong) / len(joined),
        beyond=int(joined["beyond"].sum()),
        bad_lines=bad_lines,
        by_kind=tuple(
            Mismatches(
                online_task=task,
                online_reason=reason,
                offline_task=offline_task,
                offline_reason=offline_reason,
                cause=cause,
                decisions=int(n),
                share=int(n) / len(joined),
            )
            for task, reason, offline_task, offline_reason, cause, n in kinds
        ),
    )


def _causes(wrong: pd.DataFrame, settings: _Settings) -> list[str]:
    cvr = wrong["historical_cvr"]
    between = (cvr > settings.online_alpha) & (cvr <= settings.alpha)
    causes = {
        UNKNOWN_CATEGORY: wrong["reason"] == UNKNOWN_CATEGORY,
        UNKNOWN_TYPE: wrong["reason"] == UNKNOWN_TYPE,
        "other_assignment": wrong["assignment_id"] != settings.assignment_id,
        "unknown_setup": (wrong["offline_task"] == "none") | (wrong["reason"] == UNKNOWN),
        "fallback": wrong["task"] == "fallback",
        "threshold_band": (wrong["offline_task"] == HARD) & between,
    }
    return np.select(list(causes.values()), list(causes), "rest").tolist()


def _runs(path: Path) -> pd.DataFrame:
    try:
        table = parquet_table(path)
        if missing := [name for name in _COLUMNS.names if name not in table.column_names]:
            raise InputError(f"{path}: no column {missing[0]}; wanted {', '.join(_COLUMNS.names)}")
        table = table.select(_COLUMNS.names).cast(_COLUMNS)
    except UNREADABLE as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: not a table of task assignments: {reason}") from None
    if not table.num_rows:
        raise InputError(f"{path}: no rows; wanted the runs of at least one setup")
    runs = table.to_pandas()
    for column in ("first_day", "last_day"):
        runs[column] = pd.to_datetime(runs[column])
    return runs.sort_values("first_day", kind="stable")


def _decisions(path: Path) -> tuple[pd.DataFrame, int]:
    """One row a candidate: setup_id, task, reason, assignment_id, day; and the bad lines."""
    columns: dict[str, list[Any]] = {
        name: [] for name in ("setup_id", "task", "reason", "assignment_id", "day")
    }
    bad = 0
    for line in _lines(path):
        row = _parse(line)
        if row is None:
            bad += 1
            continue
        n = len(row["setup_id"])
        for name in _LISTS:
            columns[name] += row[name]
        columns["assignment_id"] += [row["assignment_id"]] * n
        columns["day"] += [row["day"]] * n
    if not columns["day"]:
        raise InputError(f"{path}: no decision in {bad} lines; wanted a decision log")
    frame = pd.DataFrame(columns)
    frame["day"] = pd.to_datetime(frame["day"])
    return frame, bad


def _parse(line: bytes) -> dict[str, Any] | None:
    """The fields that are compared; None for a line that is no decision, or half of one."""
    try:
        row = orjson.loads(line)
        day: date = datetime.fromisoformat(row["time"]).date()
        lists = {name: row[name] for name in _LISTS}
        identity = row["assignment_id"]
    except (ValueError, KeyError, TypeError):
        return None
    texts = all(isinstance(v, list) and all(isinstance(t, str) for t in v) for v in lists.values())
    if not (texts and isinstance(identity, str) and FIRST_DAY <= day < LAST_DAY):
        return None
    if not {*lists["task"]} <= {*TASKS}:
        return None
    if len({len(values) for values in lists.values()}) != 1:
        return None
    return lists | {"day": day, "assignment_id": identity}


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file):
                yield line if number else line.removeprefix(BOM_UTF8)
    except OSError as error:
        raise InputError(f"decisions: {path}: {error.strerror}") from None
