"""What the stages of a run wrote, as far as it is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from tfx.utils import path_constants

from common.files.arrow import parquet_table
from common.files.local import read_local_json
from common.routing.table import PARQUET_FILE
from common.runs.files import AssignmentFile, EvaluationFile, PushFile, TrainingFile
from common.versions.reference import ASSETS_EXTRA, LAST_BLESSED

Json = Mapping[str, Any]

ROUTING_BEFORE = f"{path_constants.SERVING_MODEL_DIR}/{ASSETS_EXTRA}/{PARQUET_FILE}"
"""Place of the routing table in the artifact of the last blessed model."""


@dataclass(frozen=True)
class RunFiles:
    """Contents of a run's artifacts; a file that is missing is empty or none.

    Attributes:
      metrics: records of `metrics.json`.
      comparisons: records of `comparisons.json`.
      calibration: `calibration.json`.
      verdict: `verdict.json`.
      settings, stability, splits: the task labeller's files.
      assignments: runs of days: setup_id, first_day, last_day, task, reason, historical_cvr.
      routing: the routing table.
      histories: model -> `history.json`.
      training: model -> `training.json`.
      push, manifest: the pusher's files.
      gate: the data gate's `gate.json`.
      ingest: `ingest.json`.
      before: `last_blessed.json`.
      routing_before: routing table of the version that served when the run began.
    """

    metrics: Sequence[Json] = ()
    comparisons: Sequence[Json] = ()
    calibration: Json = field(default_factory=dict)
    verdict: Json | None = None
    settings: Json = field(default_factory=dict)
    stability: Json | None = None
    splits: Json = field(default_factory=dict)
    assignments: pa.Table | None = None
    routing: pa.Table | None = None
    histories: Mapping[str, Sequence[Json]] = field(default_factory=dict)
    training: Mapping[str, Json] = field(default_factory=dict)
    push: Json | None = None
    manifest: Json | None = None
    gate: Json | None = None
    ingest: Json | None = None
    before: Json = field(default_factory=dict)
    routing_before: pa.Table | None = None


def read_run_files(
    evaluation: Path | None = None,
    task_assignments: Path | None = None,
    model_runs: Mapping[str, Path] | None = None,
    pushed: Path | None = None,
    gate: Path | None = None,
    ingest: Path | None = None,
    last_blessed: Path | None = None,
) -> RunFiles:
    """Reads the folders of a run's artifacts.

    Args:
      model_runs: model (`candidate`, `one_task`) -> its training log.
    """
    runs = model_runs or {}
    histories = {model: _json(folder, TrainingFile.HISTORY, []) for model, folder in runs.items()}
    training = {model: _json(folder, TrainingFile.RECORD, {}) for model, folder in runs.items()}
    return RunFiles(
        metrics=_json(evaluation, EvaluationFile.METRICS, []),
        comparisons=_json(evaluation, EvaluationFile.COMPARISONS, []),
        calibration=_json(evaluation, EvaluationFile.CALIBRATION, {}),
        verdict=_json(evaluation, EvaluationFile.VERDICT),
        settings=_json(task_assignments, AssignmentFile.SETTINGS, {}),
        stability=_json(task_assignments, AssignmentFile.STABILITY),
        splits=_json(task_assignments, AssignmentFile.SPLITS, {}),
        assignments=_table(task_assignments, AssignmentFile.RUNS),
        routing=_table(task_assignments, PARQUET_FILE),
        histories={model: looks for model, looks in histories.items() if looks},
        training={model: log for model, log in training.items() if log},
        push=_json(pushed, PushFile.RECORD),
        manifest=_json(pushed, PushFile.MANIFEST),
        gate=_json(gate, "gate.json"),
        ingest=_json(ingest, "ingest.json"),
        before=_json(last_blessed, LAST_BLESSED, {}),
        routing_before=_table(last_blessed, ROUTING_BEFORE),
    )


def _json(folder: Path | None, name: str, default: Any = None) -> Any:
    return default if folder is None else read_local_json(folder / name, default)


def _table(folder: Path | None, name: str) -> pa.Table | None:
    if folder is None or not (folder / name).is_file():
        return None
    return parquet_table(folder / name)
