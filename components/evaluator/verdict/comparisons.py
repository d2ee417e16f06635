"""Models against each other, slice by slice, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import pyarrow as pa

from common.statistics.bootstrap import (
    AUC,
    CALIBRATION,
    LOG_LOSS,
    RIG,
    Bootstrap,
    Draws,
    Estimate,
    Scored,
)
from components.evaluator.metrics.slices import (
    ALL,
    HARD,
    Columns,
    slice_columns,
    slice_name,
    split_by_slice,
    within_hard,
)
from components.evaluator.scores.table import AS_SERVED, CANDIDATE, ONE_TASK, scored_examples
from components.evaluator.settings import EvaluationSettings


@dataclass(frozen=True)
class Comparison:
    """A metric of `model` minus that of `other`, on the same examples of a slice."""

    model: str
    other: str
    slice: str
    metric: str
    examples: int
    positives: int
    difference: Estimate


@dataclass(frozen=True)
class Intervals:
    """What the bootstrap tells.

    Attributes:
      comparisons: differences between models.
      values: (model, slice, metric) -> the metric itself.
    """

    comparisons: list[Comparison] = field(default_factory=list)
    values: dict[tuple[str, str, str], Estimate] = field(default_factory=dict)


def intervals(
    table: pa.Table, slices: tuple[Columns, ...], settings: EvaluationSettings
) -> Intervals:
    """The system as served against one task for all on all examples, and the candidate, which is
    served on hard ones alone, against each other model there.

    RIG and log loss are compared on all, on the hard examples, and on every part of the hard ones
    that has the settings' least examples and conversions; AUC on all and on the hard ones, where
    RIG, log loss, AUC and calibration of each model get an interval as well.

    Args:
      table: the predictions table.
      slices: columns to slice by, crossed.
    """
    drawn = Intervals()
    if table.num_rows == 0:
        return drawn
    scored = scored_examples(table)
    batch = table.select(list(slice_columns(slices))).combine_chunks().to_batches()[0]
    for pairs, rows in split_by_slice(batch, slices):
        name = slice_name(pairs)
        if name == ALL:
            model, others = AS_SERVED, [ONE_TASK]
        elif name == HARD or within_hard(name):
            model = CANDIDATE
            others = [m for m in scored.predictions if m not in (CANDIDATE, AS_SERVED)]
        else:
            continue
        part = scored.only([model, *others]).take(rows)
        if within_hard(name) and not _enough(part, settings):
            continue
        _add(drawn, part, name, model, others, settings)
    return drawn


def _enough(part: Scored, settings: EvaluationSettings) -> bool:
    return len(part) >= settings.min_examples and part.label.sum() >= settings.min_positives


def _add(
    into: Intervals,
    part: Scored,
    name: str,
    model: str,
    others: Iterable[str],
    settings: EvaluationSettings,
) -> None:
    draws = Draws(settings.resamples, settings.seed, settings.confidence)
    whole = not within_hard(name)
    drawn = Bootstrap(part, draws, with_auc=whole)
    positives = round(float(part.label.sum()))
    for other in others:
        into.comparisons.extend(
            Comparison(
                *(model, other, name, metric, len(part), positives),
                drawn.difference(model, other, metric),
            )
            for metric in ((RIG, LOG_LOSS, AUC) if whole else (RIG, LOG_LOSS))
        )
    if whole:
        for each in (model, *others):
            for metric in (RIG, LOG_LOSS, AUC, CALIBRATION):
                into.values[each, name, metric] = drawn.value(each, metric)
