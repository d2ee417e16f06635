"""The tables of the report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from common.pages.page import Cell, Table
from common.pages.text import (
    DASH,
    anything,
    between,
    count,
    counted,
    decimal,
    ratio,
    share,
    signed,
    size,
)
from components.reporter.drift import AssignmentDrift
from components.reporter.gradients import LayerGradients
from components.reporter.inputs import Json
from components.reporter.sections import DelayRule, NamedFit, PeriodCounts, RestlessSetup
from components.reporter.summary import (
    AS_SERVED,
    MODELS,
    ONE_TASK,
    PLACES,
    Bounded,
    SummaryRow,
    difference,
)


def system(rows: Sequence[SummaryRow], comparisons: Sequence[Json]) -> Table:
    """The system as served beside one task for all, on all examples."""
    by_model = {row.model: row for row in rows if row.on == "all"}
    if set(by_model) != {AS_SERVED, ONE_TASK}:
        return Table("", [], [])
    served, plain = by_model[AS_SERVED], by_model[ONE_TASK]
    where, _ = PLACES["all"]
    body: list[list[str | Cell]] = []
    for name, metric, places in (
        ("RIG", "rig", 4),
        ("AUC", "auc", 4),
        ("Log loss", "log_loss", 5),
        ("Predicted over observed", "calibration", 3),
    ):
        change = difference(comparisons, AS_SERVED, ONE_TASK, where, metric)
        body.append(
            [
                name,
                bounded(getattr(served, metric), places),
                bounded(getattr(plain, metric), places),
                bounded(change, places, signs=True) if change else "",
            ]
        )
    caption = (
        f"On all {counted(served.examples, 'example')} with "
        f"{counted(served.positives, 'conversion')}, by each day's routing table"
    )
    return Table(caption, ["", "#As served", "#One task for all", "#Difference"], body)


def bounded(figure: Bounded, places: int, signs: bool = False) -> str | Cell:
    """A value with its interval below it."""

    def show(value: float | None) -> str:
        return (signed if signs else decimal)(value, places)

    note = between(figure.low, figure.high, show)
    return Cell(show(figure.value), note) if note else show(figure.value)


def models(rows: Sequence[SummaryRow]) -> Table:
    """Each model on the examples that it is judged by."""
    firsts = {on: MODELS[names[0]] for on, (_, names) in PLACES.items()}
    head = ["Model", "On", "#RIG", "#AUC", "#Log loss", "#Predicted over observed"]
    head.append("#RIG of the first minus this")
    body: list[list[str | Cell]] = [
        [
            MODELS[row.model],
            Cell(f"{count(row.examples)} {row.on}", counted(row.positives, "conversion")),
            bounded(row.rig, 4),
            bounded(row.auc, 4),
            bounded(row.log_loss, 5),
            bounded(row.calibration, 3),
            bounded(row.lead, 4, signs=True) if row.lead else "",
        ]
        for row in rows
    ]
    keys = frozenset(i for i, row in enumerate(rows) if MODELS[row.model] == firsts[row.on])
    return Table("Models on the eval period", head, body, keys)


def conditions(every: Iterable[Json], passed: bool) -> Table:
    """The gate's conditions that passed, or those that failed."""
    mine = [c for c in every if c["passed"] is passed]
    words, tone = ("passed", "good") if passed else ("failed", "bad")
    return Table(
        f"{counted(len(mine), 'condition')} {words}",
        ["Condition", "", "On", "#Value", "Wanted", "In words"],
        [
            [
                c["name"].replace("_", " "),
                Cell(words, tone=tone),
                c["slice"],
                anything(c["value"]),
                c["wanted"],
                c["detail"],
            ]
            for c in mine
        ],
        folded=passed,
    )


def checks(push: Json | None) -> Table:
    """What the refit had to show before it was pushed."""
    return Table(
        "Checks of the refit",
        ["Check", "", "Wanted", "Found"],
        [
            [
                c["name"].replace("_", " "),
                Cell("passed", tone="good") if c["passed"] else Cell("failed", tone="bad"),
                c["wanted"],
                c["detail"],
            ]
            for c in (push or {}).get("checks", [])
        ],
    )


def fits(named: Sequence[NamedFit]) -> Table:
    """What each fit has learned from."""
    head = ["Fit", "Trained on", "Newest click", "#Days old", "Labels as of", "Level fitted on"]
    return Table(
        "What was learned from",
        [*head, "#Examples", "#Conversions", "#Hard examples", "#Hard conversions"],
        [
            [
                name,
                Cell(fit.first_day, f"to {fit.last_day}"),
                fit.newest_trained_day or DASH,
                count(age),
                fit.labels_as_of,
                Cell(fit.calibration_first_day, f"to {fit.calibration_last_day}"),
                count(fit.examples),
                count(fit.positives),
                count(fit.hard_examples),
                count(fit.hard_positives),
            ]
            for name, fit, age in ((f.name, f.fit, f.age) for f in named)
        ],
    )


def splits(periods: Sequence[PeriodCounts]) -> Table:
    """Periods of the data."""
    head = ["Split", "#First day", "#Last day", "#Examples", "#Conversions", "#CVR"]
    return Table(
        "Consecutive periods by click time",
        [*head, "#Hard examples", "#Hard conversions", "#Hard CVR"],
        [
            [
                p.name,
                p.first_day,
                p.last_day,
                count(p.examples),
                count(p.positives),
                ratio(p.positives, p.examples),
                count(p.hard_examples),
                count(p.hard_positives),
                ratio(p.hard_positives, p.hard_examples),
            ]
            for p in periods
        ],
    )


def rules(ingest: Json | None) -> Table:
    """Rules that rows broke."""
    broken = (ingest or {}).get("rules") or {}
    return Table(
        "Rules that rows broke", ["Rule", "#Rows"], [[r, count(n)] for r, n in broken.items()]
    )


def findings(gate: Json | None) -> Table:
    """What the data gate found."""
    return Table(
        "Findings",
        ["Severity", "Kind", "Split", "Feature", "Reason"],
        [
            [
                Cell(f["severity"], tone="bad" if f["severity"] == "error" else "warn"),
                f.get("kind", "\N{EN DASH}"),
                f["split"],
                f["feature"] or "whole data set",
                f["reason"],
            ]
            for f in (gate or {}).get("findings", [])
        ],
    )


def delays(rules: Sequence[DelayRule], judged: int | None) -> Table:
    """Treatments of young clicks, with hindsight."""
    return Table(
        "Treatments of young clicks, with hindsight",
        ["Treatment", "#Wrong", "#Share", "#Wrongly hard"],
        [
            [
                "this run" if r.name == "chosen" else r.name,
                count(r.miscalls),
                ratio(r.miscalls, judged),
                count(r.false_hard),
            ]
            for r in (rules if judged else ())
        ],
        frozenset(i for i, r in enumerate(rules) if r.name == "chosen"),
    )


def reasons(stability: Json | None) -> Table:
    """Why clicks have their task."""
    tally: Mapping[str, int] = (stability or {}).get("reasons") or {}
    total = sum(tally.values())
    return Table(
        "Why clicks have their task",
        ["Reason", "#Clicks", "#Share"],
        [[r.replace("_", " "), count(n), ratio(n, total)] for r, n in tally.items()],
    )


def prior_clicks(stability: Json | None) -> Table:
    """Weight of the prior on the as-of day."""
    strengths: Mapping[str, float] = (stability or {}).get("prior_clicks") or {}
    return Table(
        "Clicks that the prior counts for on the as-of day",
        ["Category", "#Clicks"],
        [[category or "(none)", decimal(clicks, 1)] for category, clicks in strengths.items()],
        folded=True,
    )


def restless(setups: Sequence[RestlessSetup]) -> Table:
    """The setups that changed side most often."""
    return Table(
        "Setups that changed side most often",
        ["Setup", "#Changes", "Now", "#Historical CVR"],
        [[s.setup_id, count(s.flips), s.task, share(s.historical_cvr)] for s in setups],
    )


def moves(drift: AssignmentDrift | None) -> Table:
    """What the routing table says now and what it said."""
    return Table(
        "Routing table against the last pushed one",
        ["Before", "Now", "#Setups", "#Observed clicks", "#Share"],
        [
            [
                m.before,
                m.after,
                count(m.setups),
                count(m.clicks),
                ratio(m.clicks, drift.clicks) if m.after != "gone" else "\N{EN DASH}",
            ]
            for m in drift.moves
        ]
        if drift
        else [],
    )


def moved(drift: AssignmentDrift | None) -> Table:
    """The setups that changed task."""
    return Table(
        "Setups that changed task",
        ["Setup", "Before", "Now", "#CVR before", "#CVR now", "#Observed clicks"],
        [
            [
                s.setup_id,
                s.before,
                s.after,
                share(s.cvr_before),
                share(s.cvr_after),
                count(s.clicks),
            ]
            for s in (drift.moved if drift else ())
        ],
    )


def distances(features: Sequence[Json]) -> Table:
    """How far each feature has moved."""
    return Table(
        f"All {len(features)} distances of features",
        ["Feature", "Comparison", "Measure", "#Distance", "#Threshold", ""],
        [
            [
                d["feature"],
                "last pushed → train" if d["kind"] == "drift" else "train → eval",
                d["measure"],
                decimal(d["value"]),
                decimal(d["threshold"], 2),
                Cell("above", tone="warn") if d["value"] > d["threshold"] else "",
            ]
            for d in features
        ],
        folded=True,
    )


def every_slice(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Every metric of every slice and model."""
    head = ["Slice", "Model", "#Examples", "#Conversions", "#RIG"]
    return Table(
        "Every slice and model of the eval period",
        [*head, "#AUC", "#PR-AUC", "#Log loss", "#Calibration"],
        [
            [
                s["slice"],
                s["model"],
                count(s["examples"]),
                count(s["positives"]),
                decimal(s.get("rig")),
                decimal(s.get("auc")),
                decimal(s.get("auc_precision_recall")),
                decimal(s.get("log_loss"), 5),
                decimal(s.get("calibration"), 3),
            ]
            for s in rows
        ],
        folded=True,
    )


def trainings(by_model: Mapping[str, Json]) -> Table:
    """How each model was trained."""
    head = ["Model", "Mode", "Started from", "Ended by", "#Best step", "#Seed"]
    return Table(
        "Training runs",
        [*head, "#Serving parameters", "#All parameters", "#Seconds"],
        [
            [
                MODELS.get(model, model),
                log.get("settings", {}).get("model", {}).get("mode", "\N{EN DASH}"),
                started_from(log),
                log.get("stopped_by", "\N{EN DASH}"),
                count(log.get("best_step")),
                count(log.get("seed")),
                count(log.get("parameters", {}).get("serving")),
                count(log.get("parameters", {}).get("full")),
                decimal(sum(log.get("seconds", {}).values()), 1),
            ]
            for model, log in by_model.items()
        ],
    )


def started_from(log: Json) -> str:
    """A served version, or the seed with the reason where a warm start was asked for.

    Args:
      log: the trainer's `training.json`.
    """
    start = log.get("warm_start") or {}
    words = f"version {start['version']}" if start.get("warm") else "the seed"
    asked = log.get("settings", {}).get("training", {}).get("warm_start", "off") != "off"
    if asked and not start.get("warm"):
        words += f": {start.get('reason')}"
    if (step := log.get("resumed_from")) is not None:
        words += f"; interrupted, resumed at step {step:,}"
    return words


def calibrated(by_model: Mapping[str, Json]) -> Table:
    """What the calibration inside each graph does on the examples that it was fitted on."""
    head = ["Model", "Method", "#Examples", "#Conversions", "#Log loss before", "#Log loss after"]
    return Table(
        "Calibration inside the graph",
        [*head, "#Ratio before", "#Ratio after", "#Error before", "#Error after"],
        [
            [
                MODELS.get(model, model),
                c["method"],
                count(c["examples"]),
                count(c["conversions"]),
                *(decimal(c[when]["log_loss"], 5) for when in ("before", "after")),
                *(decimal(c[when]["ratio"], 3) for when in ("before", "after")),
                *(decimal(c[when]["error"], 5) for when in ("before", "after")),
            ]
            for model, log in by_model.items()
            if (c := log.get("calibration"))
        ],
    )


def gradients(layers: Sequence[LayerGradients]) -> Table:
    """The candidate's shared layers."""
    head = ["Layer", "#Mean cosine", "#Last cosine", "#Looks below 0", "#Looks"]
    return Table(
        "The candidate's shared layers",
        [*head, "#Median norm ratio"],
        [
            [
                "all shared weights" if g.layer == "all" else g.layer,
                signed(g.mean_cosine, 3),
                signed(g.cosines[-1][1], 3),
                count(g.opposed),
                count(len(g.cosines)),
                decimal(g.median_ratio, 3),
            ]
            for g in layers
        ],
    )


def graphs(push: Json | None) -> Table:
    """The serving graph beside the full one."""
    proof = (push or {}).get("pruning") or {}
    return Table(
        "The two graphs",
        ["Graph", "#Variables", "#Parameters", "#Operations", "#Size"],
        [
            [
                name,
                *(count(proof[name][what]) for what in ("variables", "parameters", "operations")),
                size(proof[name]["size"]),
            ]
            for name in ("serving", "full")
            if name in proof
        ],
    )
