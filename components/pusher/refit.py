"""What a refit shows of itself before it is pushed.

Nothing that it can be judged on is left: it has learned from every label there is. What can be
looked at is whether the same recipe has come to something like the judged fit, and whether its
level is that of the newest clicks, whose conversions have not all been seen: click i, of
completeness F_i, is expected to show p_i F_i of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf
from scipy.stats import spearmanr

from common.arrays import Bools, Floats, Ints
from common.clicks.tfrecords import read_records
from common.days import to_day
from common.pages.text import counted
from common.statistics.poisson import level_interval
from common.versions.signatures import SERVING_DEFAULT
from components.pusher.record import RefitCheck
from components.pusher.settings import RefitSettings
from schemas import labelled
from schemas.contract import Contract

BATCH = 2048
WEEK = 7
SMALLEST_ODDS = 1e-9


@dataclass(frozen=True)
class NewClicks:
    """Labelled clicks, row i of every array being click i.

    Attributes:
      records: serialized tf.Examples.
      label: float64 [n], as observed by the as-of day.
      completeness: float64 [n].
      hard: bool [n].
      setup: int64 [n], the setup's number.
    """

    records: Sequence[bytes]
    label: Floats
    completeness: Floats
    hard: Bools
    setup: Ints

    def __len__(self) -> int:
        return len(self.label)


def read_new_clicks(files: Iterable[str], contract: Contract, clicks: int, most: int) -> NewClicks:
    """Every k-th of the clicks in TFRecord files, so that no more than `most` are taken.

    Args:
      clicks: how many there are.
    """
    step = max(1, math.ceil(clicks / most))
    every = chain.from_iterable(map(read_records, files))
    records = [record for i, record in enumerate(every) if i % step == 0]
    spec = {
        contract.roles.label: tf.io.FixedLenFeature([], tf.int64),
        labelled.COMPLETENESS: tf.io.FixedLenFeature([], tf.float32),
        labelled.TASK: tf.io.FixedLenFeature([], tf.string),
        labelled.SETUP_ID: tf.io.FixedLenFeature([], tf.string),
    }
    parsed = {name: it.numpy() for name, it in tf.io.parse_example(records, spec).items()}
    _, setup = np.unique(parsed[labelled.SETUP_ID].astype(np.bytes_), return_inverse=True)
    return NewClicks(
        records,
        parsed[contract.roles.label].astype(np.float64),
        parsed[labelled.COMPLETENESS].astype(np.float64),
        parsed[labelled.TASK] == labelled.HARD.encode(),
        setup.astype(np.int64),
    )


def served_predictions(clicks: NewClicks, hard_tower: str, one_task: str) -> Floats:
    """What a version answers: the hard tower for hard clicks, its other model for the rest.

    Args:
      hard_tower, one_task: folders of serving SavedModels.

    Returns:
      float64 [n].
    """
    answers = np.empty(len(clicks))
    for model, rows in ((hard_tower, clicks.hard), (one_task, ~clicks.hard)):
        if rows.any():
            answers[rows] = _predictions(model, [clicks.records[i] for i in np.flatnonzero(rows)])
    return answers


def _predictions(model: str, records: Sequence[bytes]) -> Floats:
    loaded = tf.saved_model.load(model)
    serve = loaded.signatures[SERVING_DEFAULT]
    parts = [
        serve(examples=tf.constant(list(records[start : start + BATCH])))["probability"].numpy()
        for start in range(0, len(records), BATCH)
    ]
    return np.concatenate(parts).astype(np.float64)


def level_check(
    name: str, clicks: NewClicks, rows: Bools, predictions: Floats, settings: RefitSettings
) -> RefitCheck:
    """Sum of p F over the conversions observed, on some of the clicks."""
    expected, label = (predictions * clicks.completeness)[rows], clicks.label[rows]
    total, observed = float(expected.sum()), float(label.sum())
    tail = (1.0 - settings.confidence) / 2.0
    low, high = level_interval(label, expected, clicks.setup[rows], tail)
    level = total / observed if observed else math.inf if total else math.nan
    least, most = 1 / (1 + settings.level_tolerance), 1 + settings.level_tolerance
    shown = f"{level:.3f} [{low:.3f}, {high:.3f}]: " if observed else ""
    figures = {"level": level, "low": low, "high": high}
    return RefitCheck(
        name=name,
        # Too few conversions for a narrow interval say too little against a level.
        passed=not (low > most or high < least),
        wanted=f"{least:.2f} .. {most:.2f} within reach of the interval",
        detail=f"{shown}{total:.1f} conversions expected of {counted(len(label), 'click')}, "
        f"{observed:.0f} observed",
        figures={"expected": total, "observed": observed, "clicks": len(label)}
        | {key: value if math.isfinite(value) else None for key, value in figures.items()},
    )


def distance_check(predictions: Floats, judged: Floats, settings: RefitSettings) -> RefitCheck:
    """How far two fits' predictions lie apart on the same clicks."""
    apart = float(np.abs(_log_odds(predictions) - _log_odds(judged)).mean())
    constant = np.ptp(predictions) == 0 or np.ptp(judged) == 0
    ranks = math.nan if constant else float(spearmanr(predictions, judged).statistic)
    figures = {"log_odds": apart, "rank_correlation": None if math.isnan(ranks) else ranks}
    return RefitCheck(
        name="distance",
        passed=apart <= settings.max_distance and ranks >= settings.min_rank_correlation,
        wanted=f"log-odds within {settings.max_distance:g} on average, rank correlation of at "
        f"least {settings.min_rank_correlation:g}",
        detail=f"log-odds {apart:.3f} from the judged fit's on average, rank correlation "
        f"{ranks:.3f}, on {counted(len(judged), 'click')}",
        figures=figures,
    )


def _log_odds(p: Floats) -> Floats:
    inside = np.clip(p, SMALLEST_ODDS, 1 - SMALLEST_ODDS)
    return np.log(inside) - np.log1p(-inside)


def knowledge_check(
    history: pa.Table, trained: Mapping[str, tuple[int, int]], as_of: int, settings: RefitSettings
) -> RefitCheck:
    """Share of the setups and clicks of the last week that each fit was trained on.

    Args:
      history: the labeller's `history.parquet`.
      trained: first and last day that a fit was trained on, of `judged` and `served`.
      as_of: days since 1970-01-01.
    """
    clicked = history.filter(pc.greater(history["clicks"], 0))
    days, clicks = clicked["day"].to_numpy(), clicked["clicks"].to_numpy()
    of_row = pc.index_in(clicked["setup_id"], value_set=pc.unique(clicked["setup_id"])).to_numpy()
    newest = days.max() if len(days) else as_of - 1
    week = (days > newest - WEEK) & (days <= newest)
    seen = np.bincount(of_row[week], clicks[week], of_row.max(initial=-1) + 1)
    figures: dict[str, float | None] = {}
    for fit, (first, last) in trained.items():
        known = np.zeros(len(seen), bool)
        known[of_row[(days >= first) & (days <= last)]] = True
        figures[f"{fit}_setups"] = float((known & (seen > 0)).sum() / max(1, (seen > 0).sum()))
        figures[f"{fit}_clicks"] = float(seen[known].sum() / max(1.0, seen.sum()))
    return RefitCheck(
        name="knowledge",
        passed=(figures["served_clicks"] or 0.0) >= settings.min_known_clicks,
        wanted=f"setups of at least {settings.min_known_clicks:.0%} of the last week's clicks",
        detail=f"knows {figures['served_setups']:.1%} of the last week's setups, which have "
        f"{figures['served_clicks']:.1%} of its clicks; the judged fit knows "
        f"{figures['judged_setups']:.1%}, with {figures['judged_clicks']:.1%}",
        figures=figures,
    )


def pruning_check(detail: str, passed: bool) -> RefitCheck:
    """That the refit's serving graph is its full graph without the soft tower."""
    return RefitCheck(
        name="pruning",
        passed=passed,
        wanted="the full graph without the soft tower, its hard predictions unchanged",
        detail=detail,
    )


def trained_days(first_day: str, last_day: str) -> tuple[int, int]:
    """Days since 1970-01-01 of two ISO dates."""
    return to_day(date.fromisoformat(first_day)), to_day(date.fromisoformat(last_day))
