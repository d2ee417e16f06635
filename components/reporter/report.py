"""The report of a run: one HTML page that needs nothing but itself."""

from __future__ import annotations

from datetime import UTC, datetime

import yaml
from markupsafe import Markup

from common.pages.intervals import intervals
from common.pages.page import environment
from common.runs.info import RunInfo
from common.versions.manifest import Manifest, build_manifest, judged_fit_of
from components.reporter import sections, tables
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
)
from components.reporter.summary import CANDIDATE, ONE_TASK, summary_rows
from schemas.labelled import RECENT

TEMPLATE = "report.html.j2"
DISTANCE_TITLES = {
    "drift": "Features: train period against the last pushed version's",
    "skew": "Features: eval period against the train period",
}
SLICES_TITLE = "The candidate minus one task for all"


def render_report(files: RunFiles, run: RunInfo, manifest: Manifest, created: datetime) -> str:
    """The page, in UTF-8 once encoded; parts whose inputs are missing say so.

    Args:
      manifest: as `run_manifest` gives it.
      created: an aware time.
    """
    rows = summary_rows(files.metrics, files.comparisons)
    drift = assignment_drift(files.routing_before, files.routing)
    splits = sections.periods(files.splits)
    slices = sections.slice_table(files.metrics)
    layers = layer_gradients(files.histories.get(CANDIDATE, []))
    fits = sections.fits(manifest)
    key = sections.key_figures(files, manifest, rows)
    stability = files.stability or {}
    shown = {
        "system": tables.system(rows, files.comparisons),
        "failed": tables.conditions((files.verdict or {}).get("conditions", ()), passed=False),
        "passed": tables.conditions((files.verdict or {}).get("conditions", ()), passed=True),
        "models": tables.models(rows),
        "slices": tables.every_slice(slices),
        "delays": tables.delays(
            sections.delay_rules(files.stability), stability.get("judged_setup_days")
        ),
        "reasons": tables.reasons(files.stability),
        "prior": tables.prior_clicks(files.stability),
        "restless": tables.restless(sections.restless_setups(files.assignments)),
        "moves": tables.moves(drift),
        "moved": tables.moved(drift),
        "distances": tables.distances((files.gate or {}).get("distances", [])),
        "trainings": tables.trainings(files.training),
        "calibrated": tables.calibrated(files.training),
        "gradients": tables.gradients(layers),
        "graphs": tables.graphs(files.push),
        "checks": tables.checks(files.push),
        "fits": tables.fits(fits),
        "splits": tables.splits(splits),
        "rules": tables.rules(files.ingest),
        "findings": tables.findings(files.gate),
    }
    return (
        environment("components.reporter")
        .get_template(TEMPLATE)
        .render(
            run=run,
            manifest=manifest,
            files=files,
            created=created.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            headline=sections.headline(files.verdict, files.push),
            key=key,
            cards=sections.cards(key),
            confidence=files.calibration.get("confidence"),
            fits=fits,
            mature_only=bool(files.splits) and RECENT not in files.splits,
            left_out=sections.left_out(files.splits),
            routes=sections.routes(files.routing),
            drift=drift,
            tables=shown,
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
    level = files.calibration.get("confidence")
    unit = "RIG, hard examples" + (f", {level:.0%} intervals" if level else "")
    if lines := sections.level_lines(summary_rows(files.metrics, files.comparisons)):
        drawn["level"] = intervals(
            *("Level", "predicted over observed conversions, hard examples", lines),
            show=lambda value: f"{1.0 + value:.3f}",
            tick=lambda value: f"{1.0 + value:.4g}",
            good="at",
        )
    if lines := sections.opponents(files.comparisons):
        drawn["opponents"] = intervals("The candidate minus each other model", unit, lines)
    for other, name in sections.OPPONENTS.items():
        if lines := sections.slice_lines(files.comparisons, other):
            title = f"The candidate minus the {name}" if other != ONE_TASK else SLICES_TITLE
            drawn[f"slices-{other}"] = intervals(title, unit, lines)
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
