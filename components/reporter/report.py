"""The report of a run: one HTML page that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

import yaml
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from common.pages import text
from common.runs.info import RunInfo
from common.versions.manifest import Manifest, build_manifest, judged_fit_of
from components.reporter import sections
from components.reporter.drift import assignment_drift
from components.reporter.gradients import layer_gradients
from components.reporter.inputs import RunFiles
from components.reporter.plots import (
    MODEL_LOOKS,
    CalibrationPoint,
    assignment_by_day,
    calibration_curve,
    cvr_changes,
    cvr_distribution,
    feature_distances,
    flips_by_day,
    gradient_conflict,
    loss_curves,
    metrics_by_slice,
)
from components.reporter.summary import MODELS, change_in_words, summary_rows
from components.reporter.training_start import started_from
from schemas.labelled import RECENT

TEMPLATE = "report.html.j2"
DISTANCE_TITLES = {
    "drift": "Features: train period against the last pushed version's",
    "skew": "Features: eval period against the train period",
}
CANDIDATE = "candidate"


def render_report(files: RunFiles, run: RunInfo, manifest: Manifest, created: datetime) -> str:
    """The page, in UTF-8 once encoded; parts whose inputs are missing say so.

    Args:
      manifest: as `run_manifest` gives it.
      created: an aware time.
    """
    rows = summary_rows(files.metrics)
    return (
        _environment()
        .get_template(TEMPLATE)
        .render(
            run=run,
            manifest=manifest,
            files=files,
            created=created.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            headline=sections.headline(files.verdict, files.push),
            rows=rows,
            decisive=sections.candidate_on_hard(rows),
            checks=(files.push or {}).get("checks", []),
            fits=sections.fits(manifest),
            mature_only=bool(files.splits) and RECENT not in files.splits,
            periods=sections.periods(files.splits),
            left_out=sections.left_out(files.splits),
            restless=sections.restless_setups(files.assignments),
            routes=sections.routes(files.routing),
            drift=assignment_drift(files.routing_before, files.routing),
            rules=sections.delay_rules(files.stability),
            slices=sections.slice_table(files.metrics),
            calibrated={
                m: log["calibration"] for m, log in files.training.items() if log.get("calibration")
            },
            gradients=layer_gradients(files.histories.get(CANDIDATE, [])),
            models=MODELS,
            config=yaml.safe_dump(dict(manifest.config), sort_keys=False, allow_unicode=True),
            figures={name: Markup(svg) for name, svg in figures(files).items()},
        )
    )


def figures(files: RunFiles) -> dict[str, str]:
    """The figures whose data are there, by name."""
    drawn: dict[str, str] = {}
    days = (files.stability or {}).get("days", [])
    if days:
        drawn["assignment"] = assignment_by_day(days)
        drawn["flips"] = flips_by_day(days)
    settings = files.settings
    if files.routing is not None and files.routing.num_rows and "alpha" in settings:
        cvrs = [cvr for cvr in files.routing["historical_cvr"].to_pylist() if cvr is not None]
        drawn["cvr"] = cvr_distribution(cvrs, settings["alpha"], settings["online_alpha"])
    drift = assignment_drift(files.routing_before, files.routing)
    if drift is not None and drift.cvrs:
        drawn["moves"] = cvr_changes(drift.cvrs, settings.get("online_alpha"))
    distances = (files.gate or {}).get("distances", [])
    for kind, title in DISTANCE_TITLES.items():
        if any(d["kind"] == kind for d in distances):
            drawn[kind] = feature_distances(distances, kind, title)
    if points := sections.plotted_slices(files.metrics):
        drawn["slices"] = metrics_by_slice(points)
    curves = {
        model: [CalibrationPoint(b["predicted"], b["observed"], b["low"], b["high"]) for b in bins]
        for model, bins in files.calibration.get("models", {}).items()
        if bins
    }
    if curves:
        drawn["calibration"] = calibration_curve(curves)
    if files.histories:
        histories = {m: files.histories[m] for m in MODEL_LOOKS if m in files.histories}
        drawn["loss"] = loss_curves(histories)
    if layers := layer_gradients(files.histories.get(CANDIDATE, [])):
        drawn["gradients"] = gradient_conflict(layers)
    return drawn


def run_manifest(files: RunFiles, run: RunInfo, created: datetime) -> Manifest:
    """The pusher's manifest, or one from what is there when the run has no pusher."""
    if files.manifest is not None:
        return Manifest.model_validate(files.manifest)
    return build_manifest(
        run=run,
        assignment=files.settings,
        splits=files.splits,
        judged_fit=judged_fit_of(files.splits, "", ""),
        metrics=files.metrics,
        verdict=files.verdict or {"summary": "no verdict"},
        model_digest="",
        created=created,
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("components.reporter"), PackageLoader("common.pages")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: Mapping[str, Any] = {
        "count": text.count,
        "decimal": text.decimal,
        "signed": text.signed,
        "share": text.share,
        "difference": change_in_words,
        "size": text.size,
        "anything": text.anything,
        "started_from": started_from,
    }
    environment.filters.update(filters)
    environment.globals["ratio"] = text.ratio
    return environment
