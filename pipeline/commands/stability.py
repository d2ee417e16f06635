"""`hardtower stability`."""

from __future__ import annotations

from dataclasses import asdict

import click

from pipeline.commands.options.lab import StudyOptions, numbers_option, study_options
from pipeline.commands.shared.studies import bar, open_study, publish


@click.command()
@study_options("First days that are replayed but not counted; the config's splits.warmup_days.")
@numbers_option("--alphas", 0, 1, "Alphas of the frontier; the config's and 0.5% to either side.")
@numbers_option("--bands", 0, 1, "Bands of the frontier; 0,0.1,0.2,0.4.", closed=True)
@numbers_option(
    "--half-lives", 0, 10_000, "Half-lives, in days; half, double and four times the config's."
)
def stability(
    asked: StudyOptions,
    alphas: tuple[float, ...],
    bands: tuple[float, ...],
    half_lives: tuple[float, ...],
) -> None:
    """Replay a log with and without each stabiliser: flips, churn, wrong sides, frontier."""
    study = open_study(asked)

    from labs.stability_lab.pages import stability as stability_page
    from labs.stability_lab.pages import words
    from labs.stability_lab.replay.ablations import ablations
    from labs.stability_lab.replay.frontier import Grid, frontier
    from labs.stability_lab.replay.measures import measure
    from labs.stability_lab.replay.replay import replay

    log, labelling = study.log, study.config.labelling
    truth = study.judge.hard(labelling.alpha)
    tried = ablations(labelling, log.attribution_days)
    measured = {}
    with bar("mechanisms") as progress:
        for number, ablation in enumerate(tried, 1):
            decided = replay(log, ablation.settings, ablation.grouped)
            measured[ablation.name] = measure(log.cells, decided, truth, study.scope)
            progress(number, len(tried))
    grid = Grid.around(labelling, alphas, bands, half_lives)
    with bar("frontier") as progress:
        points = frontier(log, labelling, grid, study.judge, study.scope, progress)

    now = next(iter(measured.values()))
    plain = measured["plain CVR against alpha"]
    cards = [
        (words.count(now.flips), f"flips as configured; {plain.flips:,} by the plain rule"),
        (words.share(now.churned_clicks), "of clicks on the day of a flip"),
        (words.share(now.churned_spend), "of spend on the day of a flip"),
        (
            words.share(now.wrong_clicks),
            f"of clicks on the wrong side; {words.share(plain.wrong_clicks)} by the plain rule",
        ),
    ]
    publish(
        study,
        "stability",
        "stability of the task assignment",
        cards,
        [
            stability_page.mechanisms(measured, study.judge.name),
            stability_page.frontier_section(points),
        ],
        {
            "mechanisms": [{"name": name, **asdict(m)} for name, m in measured.items()],
            "frontier": [asdict(p) for p in points],
        },
    )
