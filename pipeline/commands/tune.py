"""`hardtower tune`."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.commands.experiment import base_option, only_trained_by
from pipeline.commands.options import out_option


@click.command()
@out_option
@click.option("--run-id", metavar="RUN_ID", help="A finished run under OUT; the newest one.")
@base_option
@click.option("--trials", type=click.IntRange(1, 10_000), default=20, show_default=True)
@click.option(
    "--seeds", type=click.IntRange(1, 100), default=1, show_default=True, help="Of each trial."
)
@click.option(
    "--search-seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Decides which settings are tried.",
)
@click.option("--knob", "knobs", multiple=True, metavar="KEY", help="Repeatable; all knobs.")
@click.option(
    "--sample",
    "share",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    show_default=True,
    help="Share of the setups to use.",
)
def tune(
    out: Path,
    run_id: str | None,
    overrides: tuple[str, ...],
    trials: int,
    seeds: int,
    search_seed: int,
    knobs: tuple[str, ...],
    share: float,
) -> None:
    """Search for better model, loss and training settings on a finished run's data.

    Judged by the log loss on hard calibration examples; the eval period is not looked at. The same
    command goes on where it was interrupted, or adds trials.
    """
    only_trained_by(overrides)
    from components.experiment.cuts import Sample
    from pipeline.tuning import tune_run

    tune_run(out, run_id, overrides, trials, seeds, search_seed, knobs, Sample(share=share))
