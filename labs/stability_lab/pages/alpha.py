"""The choice of alpha as tables and a page."""

from __future__ import annotations

from common.pages.page import Section, Table
from labs.stability_lab.alpha import AlphaRow, Part
from labs.stability_lab.pages import words
from labs.stability_lab.pages.figures import alpha_plots
from labs.stability_lab.pages.stability import judged_by
from labs.stability_lab.replay.predictions import Score


def overview(rows: list[AlphaRow], judge: str) -> Section:
    """One row an alpha."""
    head = [
        "#Alpha",
        "#Hard setups",
        "#Hard clicks",
        "#share",
        "#Hard conversions",
        "#share",
        "#Hard CVR",
        "#Hard spend",
        "#Flips",
        "#per 1,000",
        "#Churned clicks",
        "#Wrong clicks",
        "#Moved setups",
        "#Moved clicks",
    ]
    body = []
    for row in rows:
        everything, m = row.parts[0], row.measures
        body.append(
            [
                words.share(row.alpha),
                f"{everything.hard_setups:,} of {everything.setups:,}",
                words.count(everything.hard_clicks),
                words.of(everything.hard_clicks, everything.clicks),
                words.count(everything.hard_conversions),
                words.of(everything.hard_conversions, everything.conversions),
                words.of(everything.hard_conversions, everything.hard_clicks),
                words.of(everything.hard_spend, everything.spend),
                words.count(m.flips),
                words.per_thousand(m.flip_rate),
                words.share(m.churned_clicks),
                words.share(m.wrong_clicks),
                words.count(row.moved_setups),
                words.share(row.moved_clicks),
            ]
        )
    key = frozenset(i for i, row in enumerate(rows) if row.chosen)
    chosen = next(row for row in rows if row.chosen)
    notes = [
        "Hard setups are counted on the last day that they had clicks. Moved is what lies on "
        "another side than at the configured alpha, on any day.",
        judged_by(judge, chosen.measures),
    ]
    table = Table("What falls on the hard side", head, body, key)
    return Section("Alphas", notes, alpha_plots(rows), [table])


def composition(rows: list[AlphaRow]) -> Section:
    """Hard share of clicks and of conversions by category and advertiser type."""
    tables = []
    for title, keep, folded in (
        ("conversion category", lambda p: p.advertiser_type is None, False),
        ("advertiser type", lambda p: p.category is None, False),
        (
            "category and advertiser type",
            lambda p: p.category is not None and p.advertiser_type is not None,
            True,
        ),
    ):
        for what in ("clicks", "conversions"):
            head = ["Part", "#Setups", "#Clicks", "#Conversions", "#CVR"]
            head += [f"#at {words.share(row.alpha)}" for row in rows]
            kept = [[p for p in row.parts if keep(p)] for row in rows]
            body = [_row(list(parts), what) for parts in zip(*kept, strict=True)]
            caption = f"Hard share of {what} by {title}"
            tables.append(Table(caption, head, body, folded=folded))
    return Section("Composition", [], [], tables)


def _row(parts: list[Part], what: str) -> list[str]:
    first = parts[0]
    names = [n or "(none)" for n in (first.category, first.advertiser_type) if n is not None]
    shares = [words.of(getattr(p, f"hard_{what}"), getattr(p, what)) for p in parts]
    return [
        " / ".join(names) or "all",
        words.count(first.setups),
        words.count(first.clicks),
        words.count(first.conversions),
        words.of(first.conversions, first.clicks),
        *shares,
    ]


def quality(scores: list[Score], run_id: str) -> Section:
    """Frozen predictions on the hard set of each alpha."""
    head = ["#Alpha", "Model", "#Examples", "#Conversions", "#RIG", "#AUC", "#Calibration"]
    body = [
        [
            words.share(s.alpha),
            s.model,
            words.count(s.examples),
            words.count(s.positives),
            words.decimal(s.rig),
            words.decimal(s.auc),
            words.decimal(s.calibration),
        ]
        for s in scores
    ]
    notes = [
        f"Predictions of run {run_id} are frozen: no model was trained at these alphas. The "
        "candidate's hard tower learned the hard examples of the run's own alpha, and RIG is "
        "measured against each set's own mean, so compare the models within an alpha only."
    ]
    return Section(
        "Quality", notes, [], [Table("Models on the hard set of each alpha", head, body)]
    )
