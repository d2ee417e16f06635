"""The task labeller from shards to outputs, on whatever runner the pipelines are made for."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import apache_beam as beam
import numpy as np
import pyarrow as pa
import tensorflow as tf

from common.days import to_date
from common.files.gfile import read_json, read_parquet, write_bytes, write_json, write_parquet
from common.pages.text import counted
from common.routing.serving_file import serving_bytes, serving_table
from common.routing.table import PARQUET_FILE, SERVING_FILE
from common.runs.files import AssignmentFile
from components.task_labeler import outputs
from components.task_labeler.calendar import (
    Period,
    blind_words,
    evidence_from,
    split_periods,
)
from components.task_labeler.decide.assign import DayTotals
from components.task_labeler.decide.completeness import age_curve, curves_table
from components.task_labeler.decide.counts import merge_counts
from components.task_labeler.decide.estimates import SharedEstimates
from components.task_labeler.passes.assign_pass import (
    COUNTS,
    DELAYS,
    GROUPS,
    HISTORY,
    MOMENTS,
    assign_pass,
    estimates_of,
)
from components.task_labeler.passes.clicks import ClickLog, ClickReader
from components.task_labeler.passes.label import Split, SplitPlaces
from components.task_labeler.passes.label_pass import AssignmentFiles, label_pass
from components.task_labeler.settings import LabellingSettings, SplitSettings, as_labelled
from schemas.contract import Contract
from schemas.errors import InputError
from schemas.labelled import EVAL, JUDGED_SPLITS, TRAIN

logger = logging.getLogger("hardtower")

SPLIT_TOTALS = "split_totals.json"

DOUBTFUL_SHARE = 0.01
"""Share of the hard examples from where on doubtful ones are worth a warning."""

MakePipeline = Callable[[], beam.Pipeline]


@dataclass(frozen=True)
class Folders:
    """Where the labeller writes.

    Attributes:
      splits: of each split of labelled clicks.
      assignments: of the TaskAssignments artifact.
      temp: of intermediate files, gone at the end.
    """

    splits: Mapping[str, SplitPlaces]
    assignments: str
    temp: str


def label_clicks(
    log: ClickLog,
    labelling: LabellingSettings,
    splits: SplitSettings,
    folders: Folders,
    make_pipeline: MakePipeline,
) -> str:
    """Assigns setups, labels clicks and writes both.

    Returns:
      The assignment id.

    Raises:
      InputError: there are no clicks, the pins file is broken, the log is too short for the
        periods, the labelling window is too short for the attribution window, or a period holds no
        hard example or no hard conversion.
    """
    if not log.files:
        raise InputError(f"no click before {log.as_of}: wanted at least one shard of examples")
    labelling = as_labelled(labelling, log.contract)
    temp = folders.temp
    tf.io.gfile.makedirs(temp)
    with make_pipeline() as pipeline:
        assign_pass(pipeline, log, labelling, temp)

    groups = read_parquet(f"{temp}/{GROUPS}")
    if groups.num_rows == 0:
        raise InputError(f"no click before {log.as_of}: the examples are empty")
    estimates = estimates_of(groups, read_json(f"{temp}/{MOMENTS}"), log, labelling)
    first, window = estimates.calendar.first, log.contract.attribution_window_days
    ripening = log.contract.labels_ripen
    periods = split_periods(first, log.as_of, window, splits, ripening)
    history = _whole_history(temp)
    totals = _day_totals(temp)
    logger.info(
        "TaskLabeler: %s on %s .. %s, %s",
        counted(totals.counts["setups"], "setup"),
        to_date(first),
        log.as_of,
        counted(int(totals.by_day["flips"].sum()), "flip"),
    )

    write_parquet(history, f"{folders.assignments}/{AssignmentFile.HISTORY}")
    counts = merge_counts(_parts(temp, COUNTS))
    write_parquet(counts, f"{folders.assignments}/{AssignmentFile.COUNTS}")
    curves = None
    if ripening:
        curves = f"{folders.assignments}/{AssignmentFile.COMPLETENESS}"
        delays = read_parquet(f"{temp}/{DELAYS}")
        judged, latest = (
            age_curve(delays, estimates.calendar, window, day)
            for day in (periods[EVAL].first, estimates.calendar.as_of)
        )
        write_parquet(curves_table(judged, latest), curves)
    fits = history.num_rows <= labelling.broadcast_rows
    logger.info(
        "TaskLabeler: %s, joined to clicks by %s",
        counted(history.num_rows, "assignment"),
        "broadcast" if fits else "key",
    )
    whole = f"{folders.assignments}/{AssignmentFile.HISTORY}" if fits else None
    assigned = AssignmentFiles(whole, f"{temp}/{HISTORY}", curves)
    places = {name: Split(period, folders.splits[name]) for name, period in periods.items()}
    with make_pipeline() as pipeline:
        label_pass(pipeline, log, labelling, places, assigned, f"{temp}/{SPLIT_TOTALS}")
    split_totals = {(s, what): n for s, what, n in read_json(f"{temp}/{SPLIT_TOTALS}")}
    report = outputs.split_report(split_totals, periods, history)
    _require_hard(report, labelling)
    for name in periods:
        if not report[name]["examples"]:
            _leave_empty(folders.splits[name], folders.splits[EVAL])

    blind = Period(periods[TRAIN].first, evidence_from(first, log.contract))
    unseen, trained_on = outputs.clicks_in(history, blind), report[TRAIN]["examples"]
    if unseen > DOUBTFUL_SHARE * trained_on:
        words = blind_words(unseen, trained_on, first, log.contract)
        logger.warning("TaskLabeler: %s", words)
    trained = Period(periods[TRAIN].first, estimates.calendar.as_of)
    doubtful = outputs.doubtful_hard(history, trained, labelling)
    if doubtful.share >= DOUBTFUL_SHARE:
        logger.warning(
            "TaskLabeler: %s of %s to train on are of %s whose CVR is now "
            "above %g x alpha: labelled before they had shown it; a longer splits.warmup_days "
            "leaves such days out",
            f"{doubtful.examples:,}",
            counted(doubtful.hard_examples, "hard example"),
            counted(doubtful.setups, "setup"),
            outputs.FAR,
        )
    write_json(report, f"{folders.assignments}/{AssignmentFile.SPLITS}")
    stability = outputs.stability(totals, estimates, doubtful)
    write_json(stability, f"{folders.assignments}/{AssignmentFile.STABILITY}")
    identity = _write_routing(history, log, labelling, splits, estimates, folders.assignments)
    tf.io.gfile.rmtree(temp)
    return identity


def _write_routing(
    history: pa.Table,
    log: ClickLog,
    labelling: LabellingSettings,
    splits: SplitSettings,
    estimates: SharedEstimates,
    folder: str,
) -> str:
    """The history's runs, the routing table of the as-of day and the settings behind both; returns
    the assignment id."""
    identity = outputs.assignment_id(history, labelling, log.contract)
    write_parquet(outputs.assignment_runs(history), f"{folder}/{AssignmentFile.RUNS}")
    routing = outputs.routing_table(history, estimates.calendar.as_of, labelling, estimates)
    write_parquet(routing, f"{folder}/{PARQUET_FILE}")
    write_bytes(serving_bytes(serving_table(routing, identity)), f"{folder}/{SERVING_FILE}")
    window = log.contract.attribution_window_days
    settings = {
        "assignment_id": identity,
        "as_of": log.as_of.isoformat(),
        "contract": log.contract.name,
        "setup": list(log.contract.roles.setup),
        "category": log.contract.roles.conversion_category,
        "advertiser_type": log.contract.roles.advertiser_type,
        "alpha": labelling.alpha,
        "online_alpha": labelling.online_alpha,
        "labelling": labelling.model_dump(mode="json"),
        "splits": splits.model_dump(mode="json"),
        "served_calibration_days": splits.served_calibration_days(window),
        "unknown_setups": outputs.unknown_setups(estimates, labelling),
    }
    write_json(settings, f"{folder}/{AssignmentFile.SETTINGS}")
    return identity


def refuse_faults(files: Sequence[str], contract: Contract) -> None:
    """Checks rows that no earlier stage has checked (a log read by TFX's own BigQuery component).

    Raises:
      InputError: a row breaks a rule of the contract.
    """
    reader = ClickReader(contract, as_of=0)
    for path in files:
        for fault, rows in reader.faults(path):
            raise InputError(
                f"{path}: column {fault.column}: {counted(rows, 'row')} against a rule; "
                f"wanted {fault.wanted}; mend or filter them in the query"
            )


def _whole_history(temp: str) -> pa.Table:
    tables = _parts(temp, HISTORY)
    return pa.concat_tables(tables).sort_by([("setup_id", "ascending"), ("day", "ascending")])


def _parts(temp: str, name: str) -> list[pa.Table]:
    """What each bucket has left, in the order of the buckets."""
    pattern = f"{temp}/{name.replace('{:05d}', '*')}"
    return [read_parquet(path) for path in sorted(tf.io.gfile.glob(pattern))]


def _day_totals(temp: str) -> DayTotals:
    parts = [read_json(p) for p in sorted(tf.io.gfile.glob(f"{temp}/totals-*.json"))]
    totals = [
        DayTotals({k: np.array(v) for k, v in part["by_day"].items()}, part["counts"])
        for part in parts
    ]
    whole = totals[0]
    for other in totals[1:]:
        whole = whole + other
    return whole


def _require_hard(
    report: Mapping[str, Mapping[str, int | str]], labelling: LabellingSettings
) -> None:
    for split in JUDGED_SPLITS:
        counts = report[split]
        for name in ("hard_examples", "hard_judged_positives"):
            if not counts[name]:
                what = {"hard_examples": "hard example"}.get(name, "hard conversion seen by then")
                raise InputError(
                    f"splits: the {split} period {counts['first_day']} .. {counts['last_day']} has "
                    f"no {what} ({counted(int(counts['examples']), 'example')}, alpha "
                    f"{labelling.alpha}); wanted at least one: raise alpha or lengthen the period"
                )


def _leave_empty(split: SplitPlaces, other: SplitPlaces) -> None:
    """Writes files without rows: TFX's readers want to find one in every split.

    Args:
      other: a split with examples, whose columns the empty one shall have.
    """
    columns = read_parquet(sorted(tf.io.gfile.glob(f"{other.columns}/*.parquet"))[0])
    tf.io.gfile.makedirs(split.columns)
    write_parquet(columns.slice(0, 0), f"{split.columns}/data_parquet-00000-of-00001.parquet")
    tf.io.gfile.makedirs(split.examples)
    name = "data_tfrecord-00000-of-00001.gz"
    write_bytes(gzip.compress(b"", mtime=0), f"{split.examples}/{name}")
