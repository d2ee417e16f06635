"""The manifest that travels with a version: where it comes from and how good it is."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from pydantic import NonNegativeInt

from common.runs.info import RunInfo
from common.versions.digest import config_digest
from schemas.base import Frozen

MANIFEST_FILE = "manifest.json"
HARD_SLICE = "task=hard"
LIBRARIES = ("tensorflow", "tfx", "tensorflow-transform", "tensorflow-model-analysis", "numpy")


class SplitCounts(Frozen):
    """One split: first and last day of its clicks (ISO) and how many examples it has."""

    first_day: str
    last_day: str
    examples: NonNegativeInt = 0
    positives: NonNegativeInt = 0
    hard_examples: NonNegativeInt = 0
    hard_positives: NonNegativeInt = 0


class Data(Frozen):
    """What the model learned from."""

    contract: str
    as_of: str
    """ISO date before which data was visible."""
    first_day: str | None
    last_day: str | None
    """ISO dates of the first and the last click in any split."""
    splits: Mapping[str, SplitCounts]


class VerdictSummary(Frozen):
    """What the evaluator decided."""

    blessed: bool
    headline: str = ""
    """The verdict in one sentence; empty in manifests of versions that had none."""
    summary: str
    baseline: str | None
    """What the candidate was compared with; null when there was nothing."""


class Manifest(Frozen):
    """Contents of `manifest.json`."""

    version: int | None
    """Number in the serving folder; null when the model is not there."""
    run_id: str
    assignment_id: str
    alpha: float | None
    online_alpha: float | None
    """Thresholds on historical CVR of training and of the routing table."""
    data: Data
    config_digest: str
    config: Mapping[str, Any]
    seed: int
    metrics: Mapping[str, Mapping[str, float]]
    """Model name -> metric name -> value, on the hard slice of the eval split."""
    verdict: VerdictSummary
    code_version: str
    model_digest: str
    """sha256 over names and contents of the SavedModel's files; empty when there is no model."""
    one_task_digest: str = ""
    """The same of the one-task model; empty where the version has none."""
    summed: bool = False
    """Whether a `SHA256SUMS` lists every file of the version; false in versions pushed before
    there was one."""
    created: str
    """ISO 8601, UTC, whole seconds."""
    libraries: Mapping[str, str]


def build_manifest(
    *,
    run: RunInfo,
    assignment: Mapping[str, Any],
    splits: Mapping[str, Mapping[str, Any]],
    metrics: Iterable[Mapping[str, Any]],
    verdict: Mapping[str, Any],
    model_digest: str,
    created: datetime,
    one_task_digest: str = "",
    version: int | None = None,
) -> Manifest:
    """Puts a manifest together from what the stages wrote.

    Args:
      run: provenance.
      assignment: the task labeller's `settings.json`.
      splits: its `splits.json`: split name -> counts; an entry without days is no split.
      metrics: the evaluator's `metrics.json`.
      verdict: the evaluator's `verdict.json`.
      created: an aware time.
    """
    counts = {
        name: SplitCounts(**{k: v for k, v in split.items() if k in SplitCounts.model_fields})
        for name, split in splits.items()
        if "first_day" in split
    }
    return Manifest(
        version=version,
        run_id=run.run_id,
        assignment_id=str(assignment.get("assignment_id", "")),
        alpha=assignment.get("alpha"),
        online_alpha=assignment.get("online_alpha"),
        data=Data(
            contract=run.contract or str(assignment.get("contract", "")),
            as_of=run.as_of or str(assignment.get("as_of", "")),
            first_day=min((c.first_day for c in counts.values()), default=None),
            last_day=max((c.last_day for c in counts.values()), default=None),
            splits=counts,
        ),
        config_digest=config_digest(run.config),
        config=run.config,
        seed=run.seed,
        metrics=hard_metrics(metrics),
        verdict=VerdictSummary(
            blessed=bool(verdict.get("blessed", False)),
            headline=str(verdict.get("headline", "")),
            summary=str(verdict.get("summary", "")),
            baseline=verdict.get("baseline"),
        ),
        code_version=run.code_version,
        model_digest=model_digest,
        one_task_digest=one_task_digest,
        summed=True,
        created=created.astimezone(UTC).isoformat(timespec="seconds"),
        libraries=library_versions(),
    )


def hard_metrics(records: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Model name -> metric name -> value on the hard slice; what is no number is left out."""
    table: dict[str, dict[str, float]] = {}
    for record in records:
        value = record["value"]
        if record["slice"] == HARD_SLICE and value is not None and math.isfinite(value):
            table.setdefault(record["model"], {})[record["metric"]] = value
    return table


def library_versions() -> dict[str, str]:
    """Versions of Python and of the libraries that a model's numbers depend on."""
    python = {"python": platform.python_version()}
    return python | {name: metadata.version(name) for name in LIBRARIES}
