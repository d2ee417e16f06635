"""`hardtower cold-start`."""

from __future__ import annotations

from dataclasses import asdict

import click

from pipeline.commands.options.lab import StudyOptions, study_options
from pipeline.commands.shared.studies import bar, open_study, publish


@click.command("cold-start")
@study_options(
    "A setup is new when its first click comes this long after the log's; the labelling window, "
    "or a third of the log."
)
def cold_start(asked: StudyOptions) -> None:
    """Follow new setups: time to a history, and the cost of each cold-start policy."""
    study = open_study(asked, "window")

    from labs.stability_lab.cold_start import study_cold_start
    from labs.stability_lab.pages import cold_start as cold_start_page
    from labs.stability_lab.pages import words

    labelling = study.config.labelling
    with bar("policies") as progress:
        studied = study_cold_start(study.log, labelling, study.judge, study.first_day, progress)
    everyone = studied.graduation[0]
    cards = [
        (words.count(everyone.setups), "new setups"),
        (words.of(everyone.graduated, everyone.setups), "of them graduate in the log"),
        (words.count(everyone.median_days), "days to graduate, median"),
        (words.of(everyone.clicks_before, study.log.cells.clicks.sum()), "of all clicks before it"),
    ]
    publish(
        study,
        "cold-start",
        "cold starts",
        cards,
        [
            cold_start_page.graduation(studied, labelling.min_clicks),
            cold_start_page.policies(studied),
        ],
        asdict(studied),
    )
