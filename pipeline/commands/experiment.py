"""`hardtower experiment`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from pipeline.commands.options.frozen import FrozenOptions, frozen_options, hms
from pipeline.commands.options.shared import Number
from schemas.errors import InputError

if TYPE_CHECKING:
    from labs.experiment.trainings.queue import QueueProgress
    from pipeline.studies.worlds import Far


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
    "--worlds",
    type=click.IntRange(1, 100),
    metavar="N",
    help="Simulates N logs for each --correlation, with seeds 0, 1, ..., and takes these in place "
    "of a finished run; --set may then set any key of the config `simulator`.",
)
@click.option(
    "--clicks",
    type=click.IntRange(10_000, 10**9),
    default=300_000,
    show_default=True,
    help="Of the log of each world.",
)
@click.option(
    "--correlation",
    "correlations",
    type=Number(0, 1),
    multiple=True,
    default=(0.1, 0.6, 0.95),
    show_default=True,
    help="Between what moves soft and hard conversions in a world. Repeatable.",
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
    worlds: int | None,
    clicks: int,
    correlations: tuple[float, ...],
    dates: int | None,
    days: int | None,
) -> None:
    """Train a named set of networks on a finished run's data, and compare them.

    With --worlds on simulated logs instead, and over all of them. Finished trainings are kept: the
    same command goes on where it was interrupted.
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
    from pipeline.studies.experiment import ExperimentRequest, Rolling, conduct

    command = " ".join(["hardtower", *sys.argv[1:]])
    given = {key: value for key, value in (("dates", dates), ("days", days)) if value is not None}
    rolling = Rolling(**given) if given else None
    wanted = ExperimentRequest(name, seeds, asked.sample, jobs, rolling)
    if worlds is None:
        conduct(wanted, asked.open(), command, _tell)
        return
    if asked.run_id is not None:
        raise InputError(f"--run-id {asked.run_id}: --worlds takes no run; wanted one of the two")
    from labs.experiment.worlds import WorldSpec
    from pipeline.studies.worlds import conduct_worlds

    tried = [
        WorldSpec(correlation, seed, clicks)
        for seed in range(worlds)
        for correlation in dict.fromkeys(correlations)
    ]
    conduct_worlds(wanted, tried, asked.out, asked.overrides, command, _tell_far)


def _tell(progress: QueueProgress) -> None:
    click.echo(_in_words(progress, progress.left), err=True)


def _tell_far(far: Far) -> None:
    place = f"world {far.number} of {far.of}: "
    click.echo(place + _in_words(far.trainings, far.left), err=True)


def _in_words(progress: QueueProgress, left: float | None) -> str:
    line = f"{progress.done} of {progress.of} trainings done"
    if progress.what:
        line += f": {progress.what} in {progress.seconds:.0f} s"
    elif progress.stored:
        line += f", {progress.stored} of them before"
    if left:
        line += f"; {hms(left)} left"
    return line
