"""The manifest that travels with a version: where it comes from and how good it is."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from importlib import metadata
from typing import Any

from pydantic import NonNegativeInt

from common.runs.info import RunInfo
from common.versions.digest import config_digest
from schemas.base import Frozen
from schemas.labelled import CALIBRATION, EVAL, TRAIN

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


class FitRecord(Frozen):
    """One training of the recipe: what it learned from, and its two models."""

    first_day: str
    last_day: str
    """ISO days of the clicks that it was trained on."""
    newest_trained_day: str | None
    """The last of these days with a click."""
    calibration_first_day: str
    calibration_last_day: str
    """Days that its level was fitted on."""
    labels_as_of: str
    """ISO date before which conversions count in its labels."""
    examples: NonNegativeInt
    positives: NonNegativeInt
    hard_examples: NonNegativeInt
    hard_positives: NonNegativeInt
    """Of what it was trained on, by its own labels."""
    model_digest: str
    one_task_digest: str

    def age(self, as_of: str) -> int | None:
        """Days from the newest trained click to the as-of day."""
        if self.newest_trained_day is None or not as_of:
            return None
        return (date.fromisoformat(as_of) - date.fromisoformat(self.newest_trained_day)).days


class VerdictSummary(Frozen):
    """What the evaluator decided."""

    blessed: bool
    headline: str = ""
    """The verdict in one sentence; empty in manifests of versions that had none."""
    details: tuple[str, ...] = ()
    """Sentences with the figures."""
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
    judged_fit: FitRecord | None = None
    """What the evaluator judged, which knew what was known when the eval period began."""
    served_fit: FitRecord | None = None
    """What serves: the judged fit, or the same recipe with everything known at `data.as_of`. Null
    when nothing was blessed, or the recipe was not fitted again because of that."""
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
    judged_fit: FitRecord | None = None,
    served_fit: FitRecord | None = None,
    version: int | None = None,
) -> Manifest:
    """Puts a manifest together from what the stages wrote.

    Args:
      run: provenance.
      assignment: the task labeller's `settings.json`.
      splits: its `splits.json`: split name -> counts; an entry without days is no split.
      metrics: the evaluator's `metrics.json`.
      verdict: the evaluator's `verdict.json`.
      model_digest, one_task_digest: of the models to push, or those judged where none is.
      judged_fit, served_fit: see `judged_fit_of` and `refit_of`.
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
            details=tuple(verdict.get("details", ())),
            summary=str(verdict.get("summary", "")),
            baseline=verdict.get("baseline"),
        ),
        code_version=run.code_version,
        model_digest=model_digest,
        one_task_digest=one_task_digest,
        judged_fit=judged_fit,
        served_fit=served_fit,
        summed=True,
        created=created.astimezone(UTC).isoformat(timespec="seconds"),
        libraries=library_versions(),
    )


COUNTED = ("examples", "positives", "hard_examples", "hard_positives")


def judged_fit_of(
    splits: Mapping[str, Mapping[str, Any]], model_digest: str, one_task_digest: str
) -> FitRecord | None:
    """The fit that learned from the train split; None where a split is missing.

    Args:
      splits: the task labeller's `splits.json`.
    """
    if not {TRAIN, CALIBRATION, EVAL} <= splits.keys():
        return None
    train = splits[TRAIN]
    counts = {name: int(train.get(name, 0)) for name in COUNTED}
    counts |= {
        name: int(train.get(name.replace("positives", "judged_positives"), counts[name]))
        for name in ("positives", "hard_positives")
    }
    return FitRecord(
        first_day=train["first_day"],
        last_day=train["last_day"],
        newest_trained_day=train.get("newest_click_day"),
        calibration_first_day=splits[CALIBRATION]["first_day"],
        calibration_last_day=splits[CALIBRATION]["last_day"],
        labels_as_of=splits[EVAL]["first_day"],
        model_digest=model_digest,
        one_task_digest=one_task_digest,
        **counts,
    )


def refit_of(
    splits: Mapping[str, Mapping[str, Any]],
    as_of: str,
    calibration_days: int,
    model_digest: str,
    one_task_digest: str,
) -> FitRecord:
    """The fit that learned from every split, from the last `calibration_days` up to the newest
    click for its level too."""
    dated = [split for split in splits.values() if "first_day" in split]
    clicked = [day for split in dated if (day := split.get("newest_click_day"))]
    newest = max(clicked, default=None)
    last = max(split["last_day"] for split in dated)
    calibration = date.fromisoformat(newest or last) - timedelta(days=calibration_days - 1)
    return FitRecord(
        first_day=min(split["first_day"] for split in dated),
        last_day=last,
        newest_trained_day=newest,
        calibration_first_day=calibration.isoformat(),
        calibration_last_day=newest or last,
        labels_as_of=as_of,
        model_digest=model_digest,
        one_task_digest=one_task_digest,
        **{name: sum(int(split.get(name, 0)) for split in dated) for name in COUNTED},
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
