"""`hardtower tune`."""

from __future__ import annotations

from statistics import mean
from typing import TYPE_CHECKING

import click

from pipeline.commands.options.frozen import FrozenOptions, frozen_options, hms

if TYPE_CHECKING:
    from labs.experiment.tune import Report


@click.command()
@frozen_options
@click.option("--trials", type=click.IntRange(1, 10_000), default=20, show_default=True)
@click.option(
    "--seeds", type=click.IntRange(1, 100), default=1, show_default=True, help="Of each trial."
)
@click.option(
    "--search-seed",
    type=click.IntRange(0, 2**31 - 1),
    default=0,
    show_default=True,
    help="Decides which settings are tried.",
)
@click.option("--knob", "knobs", multiple=True, metavar="KEY", help="Repeatable; all knobs.")
def tune(
    asked: FrozenOptions, trials: int, seeds: int, search_seed: int, knobs: tuple[str, ...]
) -> None:
    """Search for better model, loss and training settings on a finished run's data.

    Judged by the log loss on hard calibration examples; the eval period is not looked at. The same
    command goes on where it was interrupted, or adds trials.
    """
    frozen = asked.open()

    from pipeline.studies.tuning import tune_run

    tune_run(frozen, trials, seeds, search_seed, knobs, asked.sample, _teller())


def _teller() -> Report:
    """Tells of each trial, and how much time is left by those so far."""
    spent: list[float] = []

    def tell(number: int, trials: int, score: float | None, best: float, seconds: float) -> None:
        spent.append(seconds)
        shown = "failed" if score is None else f"log loss {score:.6f}"
        line = f"trial {number} of {trials}: {shown} in {seconds:.0f} s; best {best:.6f}"
        if number < trials:
            line += f"; {hms(mean(spent) * (trials - number))} left"
        click.echo(line, err=True)

    return tell
