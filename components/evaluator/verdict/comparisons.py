"""The candidate against each other model, slice by slice, with bootstrap intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

import pyarrow as pa

from common.statistics.bootstrap import Difference, Scored, auc_difference, loss_differences
from components.evaluator.metrics.slices import (
    ALL,
    HARD,
    Columns,
    slice_columns,
    slice_name,
    split_by_slice,
    within_hard,
)
from components.evaluator.scores.table import CANDIDATE, scored_examples
from components.evaluator.settings import EvaluationSettings


class _Options(TypedDict):
    resamples: int
    seed: int
    confidence: float


@dataclass(frozen=True)
class Comparison:
    """A metric of the candidate minus that of `other`, on the same examples of a slice."""

    other: str
    slice: str
    metric: str
    examples: int
    positives: int
    difference: Difference


def compare(
    table: pa.Table, slices: tuple[Columns, ...], settings: EvaluationSettings
) -> list[Comparison]:
    """Differences of RIG and log loss, and of AUC on the hard examples.

    Compared are all examples, the hard ones, and every part of the hard ones that has the
    settings' least examples and conversions.

    Args:
      table: the predictions table.
      slices: columns to slice by, crossed.
    """
    if table.num_rows == 0:
        return []
    scored = scored_examples(table)
    others = [model for model in scored.predictions if model != CANDIDATE]
    columns = slice_columns(slices)
    found: list[Comparison] = []
    batch = table.select(list(columns)).combine_chunks().to_batches()[0]
    for pairs, rows in split_by_slice(batch, slices):
        name = slice_name(pairs)
        part = scored.take(rows)
        positives = round(float(part.label.sum()))
        enough = len(part) >= settings.min_examples and positives >= settings.min_positives
        if name not in (ALL, HARD) and not (within_hard(name) and enough):
            continue
        for other in others:
            found += [
                Comparison(other, name, metric, len(part), positives, difference)
                for metric, difference in _differences(part, other, name, settings).items()
            ]
    return found


def _differences(
    part: Scored, other: str, name: str, settings: EvaluationSettings
) -> dict[str, Difference]:
    options: _Options = {
        "resamples": settings.resamples,
        "seed": settings.seed,
        "confidence": settings.confidence,
    }
    differences = loss_differences(part, CANDIDATE, other, **options)
    if name == HARD:
        differences["auc"] = auc_difference(part, CANDIDATE, other, **options)
    return differences
