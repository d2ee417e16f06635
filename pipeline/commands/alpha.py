"""`hardtower alpha`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from pipeline.commands.options.lab import StudyOptions, numbers_option, study_options
from pipeline.commands.shared.studies import bar, open_study, publish

if TYPE_CHECKING:
    from labs.stability_lab.replay.predictions import Score
    from labs.stability_lab.replay.replay import Replay


@click.command()
@study_options("First days that are replayed but not counted; the config's splits.warmup_days.")
@numbers_option(
    "--alphas", 0, 1, "Alphas to look at; multiples of the config's and 0.5% to either side."
)
@click.option(
    "--metrics",
    "run_id",
    metavar="RUN_ID",
    help="A finished run under OUT: RIG and AUC of its frozen predictions on each hard set.",
)
def alpha(asked: StudyOptions, alphas: tuple[float, ...], run_id: str | None) -> None:
    """Show what falls on which side as alpha moves."""
    predictions_path = None
    if run_id is not None:
        from labs.stability_lab.replay.predictions import find_predictions
        from pipeline.runs.history import find_run

        predictions_path = find_predictions(asked.out, find_run(asked.out, run_id))
    study = open_study(asked)

    from labs.stability_lab.alpha import default_alphas, study_alpha
    from labs.stability_lab.pages import alpha as alpha_page
    from labs.stability_lab.pages import words
    from labs.stability_lab.replay.predictions import Predictions

    chosen = study.config.labelling.alpha
    predictions = Predictions.read(predictions_path, study.log) if predictions_path else None
    scores: list[Score] = []

    def score(tried: float, decided: Replay) -> None:
        if predictions is not None:
            scores.extend(predictions.scores(tried, decided))

    with bar("alphas") as progress:
        rows = study_alpha(
            study.log,
            study.config.labelling,
            alphas or default_alphas(chosen),
            study.judge,
            study.scope,
            progress,
            score,
        )
    now = next(row for row in rows if row.chosen)
    everything = now.parts[0]
    cards = [
        (words.share(chosen), "alpha as configured"),
        (words.share(now.measures.hard_clicks), "of clicks hard"),
        (words.share(now.measures.hard_conversions), "of conversions hard"),
        (f"{everything.hard_setups:,}", f"of {everything.setups:,} setups hard"),
    ]
    sections = [alpha_page.overview(rows, study.judge.name), alpha_page.composition(rows)]
    if run_id is not None:
        sections.append(alpha_page.quality(scores, run_id))
    results = {
        "alphas": [asdict(row) for row in rows],
        "metrics_run": run_id,
        "scores": [asdict(s) for s in scores],
    }
    publish(study, "alpha", "choice of alpha", cards, sections, results)
