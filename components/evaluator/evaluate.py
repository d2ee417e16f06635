"""The evaluation from shards of examples to a verdict, files included."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import pyarrow.compute as pc
import tensorflow as tf

from common.files.gfile import write_json
from common.pages.text import counted
from common.runs.files import EvaluationFile
from common.statistics.bootstrap import Scored
from components.evaluator.metrics.calibration_curve import Bin, calibration_curve
from components.evaluator.metrics.deciles import Decile, deciles
from components.evaluator.metrics.evaluation import Record, WriteEvaluation, load_records
from components.evaluator.metrics.slices import ALL, HARD, slice_columns, usable_slices
from components.evaluator.scores.score_shards import ScoreShards, merge_parts
from components.evaluator.scores.table import (
    AS_SERVED,
    CANDIDATE,
    ONE_TASK,
    evaluated,
    scored_examples,
)
from components.evaluator.settings import EvaluationSettings, GateSettings
from components.evaluator.verdict.comparisons import Comparison, intervals
from components.evaluator.verdict.gate import Baseline, Verdict, judge
from schemas import labelled
from schemas.contract import Contract

logger = logging.getLogger("hardtower")


@dataclass(frozen=True)
class Inputs:
    """What is evaluated.

    Attributes:
      shards: TFRecord files of labelled examples, at least one.
      models: SavedModel folder of each model by name; without `logistic`, the candidate came
        without a reference and the verdict says so.
      baseline: the last blessed model, if `models` has it.
    """

    contract: Contract
    shards: tuple[str, ...]
    models: Mapping[str, str]
    baseline: Baseline
    evaluation: EvaluationSettings
    gate: GateSettings


def evaluate(inputs: Inputs, output: str, make_pipeline: Callable[[], beam.Pipeline]) -> Verdict:
    """Scores, measures, compares and judges; writes every file of the evaluation artifact.

    Args:
      output: existing folder for `metrics.json`, `comparisons.json`, `calibration.json`,
        `predictions.parquet`, `verdict.json` and TFMA's result.
      make_pipeline: opens a Beam pipeline.

    Raises:
      InputError: a slice names an unknown column, or a shard holds no labelled examples.
      ModelError: the candidate or the one-task model cannot score the examples.
    """
    settings = inputs.evaluation
    slices = usable_slices(settings.slices, inputs.contract)
    parts = f"{output}/predictions"
    tf.io.gfile.makedirs(parts)
    with make_pipeline() as pipeline:
        scores = ScoreShards(
            inputs.shards,
            inputs.models,
            inputs.contract,
            slice_columns(slices),
            parts,
            settings.batch_size,
        )
        # TFMA shows where each model lies; what needs no graph lies nowhere.
        places = {model: inputs.models.get(model, "") for model in evaluated(inputs.models)}
        _ = pipeline | "Predict" >> scores | WriteEvaluation(places, slices, output)
    table = merge_parts(parts, len(inputs.shards), f"{output}/{EvaluationFile.PREDICTIONS}")
    models, examples = counted(len(inputs.models), "model"), counted(len(table), "example")
    logger.info("Evaluator: scored %s on %s", models, examples)

    drawn = intervals(table, slices, settings)
    records = load_records(output, slices, drawn.values)
    write_json(records, f"{output}/{EvaluationFile.METRICS}")
    _log_metrics(records)
    comparisons = [_flat(c) for c in drawn.comparisons]
    write_json(comparisons, f"{output}/{EvaluationFile.COMPARISONS}")
    hard = scored_examples(table.filter(pc.equal(table.column(labelled.TASK), labelled.HARD)))
    write_json(_calibration(hard, settings), f"{output}/{EvaluationFile.CALIBRATION}")
    judged = _deciles(hard, inputs.gate, settings)
    verdict = judge(records, drawn.comparisons, inputs.gate, inputs.baseline, judged)
    said = {**dataclasses.asdict(verdict), "summary": verdict.summary}
    write_json(said, f"{output}/{EvaluationFile.VERDICT}")
    logger.info("Evaluator: %s", verdict.headline)
    return verdict


def _deciles(hard: Scored, gate: GateSettings, settings: EvaluationSettings) -> list[Decile]:
    if not gate.calibration_deciles or not len(hard):
        return []
    return deciles(
        hard.label,
        hard.predictions[CANDIDATE],
        hard.setup,
        gate.calibration_deciles,
        settings.confidence,
    )


def _calibration(hard: Scored, settings: EvaluationSettings) -> dict[str, Any]:
    curves: dict[str, list[Bin]] = {
        model: calibration_curve(
            hard.label, prediction, settings.calibration_bins, settings.confidence
        )
        for model, prediction in hard.predictions.items()
        if model != AS_SERVED
    }
    return {"slice": HARD, "confidence": settings.confidence, "models": curves}


def _flat(comparison: Comparison) -> dict[str, Any]:
    difference = dataclasses.asdict(comparison.difference)
    return {
        "model": comparison.model,
        "other": comparison.other,
        "slice": comparison.slice,
        "metric": comparison.metric,
        "examples": comparison.examples,
        "positives": comparison.positives,
        **{k: v if math.isfinite(v) else None for k, v in difference.items()},
    }


def _log_metrics(records: Sequence[Record]) -> None:
    """Each model where it is judged: on hard examples, or on all as the system is served."""
    values = {(r["model"], r["slice"], r["metric"]): r["value"] for r in records}
    models = dict.fromkeys(record["model"] for record in records)
    places = [(model, HARD) for model in models if model != AS_SERVED]
    for model, where in [*places, (AS_SERVED, ALL), (ONE_TASK, ALL)]:
        shown = ", ".join(
            f"{metric} {value:.4f}"
            for metric in ("rig", "auc", "calibration")
            if (value := values.get((model, where, metric))) is not None
        )
        on = "all" if where == ALL else "hard"
        logger.info("Evaluator: %s on %s examples: %s", model, on, shown or "no figures")
