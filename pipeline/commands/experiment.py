"""`hardtower experiment`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from pipeline.commands.options.frozen import FrozenOptions, clock, frozen_options
from schemas.errors import InputError

if TYPE_CHECKING:
    from labs.experiment.trainings.queue import Progress


@click.command()
@click.argument("name", required=False)
@click.option("--list", "show", is_flag=True, help="Lists the experiments and ends.")
@frozen_options
@click.option("--seeds", type=click.IntRange(1, 100), default=3, show_default=True)
@click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="Processes that train at the same time.",
)
@click.option(
    "--dates",
    type=click.IntRange(1, 100),
    help="freshness: as-of days, each trained for anew. 3 by default.",
)
@click.option(
    "--days",
    type=click.IntRange(1, 366),
    help="freshness: days after each as-of day that are judged, and between two of them. 7 by "
    "default.",
)
def experiment(
    asked: FrozenOptions,
    name: str | None,
    show: bool,
    seeds: int,
    jobs: int,
    dates: int | None,
    days: int | None,
) -> None:
    """Train a named set of networks on a finished run's data, and compare them.

    Finished trainings are kept: the same command goes on where it was interrupted.
    """
    from labs.experiment.studies.registry import EXPERIMENTS

    if show:
        width = max(map(len, EXPERIMENTS))
        for known, named in EXPERIMENTS.items():
            click.echo(f"{known:{width}}  {named.about}")
        return
    if name is None:
        raise InputError(f"experiment: no name; wanted one of {', '.join(EXPERIMENTS)}")
    if name not in EXPERIMENTS:
        raise InputError(f"experiment: seen {name!r}, wanted one of {', '.join(EXPERIMENTS)}")
    frozen = asked.open()

    from pipeline.studies.experiment import Rolling, conduct

    given = {key: value for key, value in (("dates", dates), ("days", days)) if value is not None}
    rolling = Rolling(**given) if given else None
    command = " ".join(["hardtower", *sys.argv[1:]])
    conduct(name, frozen, seeds, asked.sample, jobs, rolling, command, _tell)


def _tell(progress: Progress) -> None:
    line = f"{progress.done} of {progress.of} trainings done"
    if progress.what:
        line += f": {progress.what} in {progress.seconds:.0f} s"
    elif progress.stored:
        line += f", {progress.stored} of them before"
    if progress.left:
        line += f"; {clock(progress.left)} left"
    click.echo(line, err=True)
