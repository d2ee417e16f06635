"""`hardtower experiment`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.commands.options import out_option
from schemas.errors import InputError

if TYPE_CHECKING:
    from components.experiment.queue import Progress

TRAINED_BY = ("model", "loss", "training")

base_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Overrides one of the run's model, loss or training settings for all trainings, such as "
    "model.dropout=0.2. Repeatable.",
)


@click.command()
@click.argument("name", required=False)
@click.option("--list", "show", is_flag=True, help="Lists the experiments and ends.")
@out_option
@click.option("--run-id", metavar="RUN_ID", help="A finished run under OUT; the newest one.")
@base_option
@click.option("--seeds", type=click.IntRange(1, 100), default=3, show_default=True)
@click.option(
    "--sample",
    "share",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    show_default=True,
    help="Share of the data to use.",
)
@click.option(
    "--sample-by",
    "by",
    type=click.Choice(["setup", "day"]),
    default="setup",
    show_default=True,
    help="Keep whole setups in all splits, or the last days of the train split.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="Processes that train at the same time.",
)
def experiment(
    name: str | None,
    show: bool,
    out: Path,
    run_id: str | None,
    overrides: tuple[str, ...],
    seeds: int,
    share: float,
    by: str,
    jobs: int,
) -> None:
    """Train a named set of networks on a finished run's data, and compare them.

    Finished trainings are kept: the same command goes on where it was interrupted.
    """
    from components.experiment.registry import EXPERIMENTS

    if show:
        width = max(map(len, EXPERIMENTS))
        for known, named in EXPERIMENTS.items():
            click.echo(f"{known:{width}}  {named.about}")
        return
    if name is None:
        raise InputError(f"experiment: no name; wanted one of {', '.join(EXPERIMENTS)}")
    if name not in EXPERIMENTS:
        raise InputError(f"experiment: seen {name!r}, wanted one of {', '.join(EXPERIMENTS)}")
    only_trained_by(overrides)

    from components.experiment.cuts import Sample
    from pipeline.experiment import conduct

    conduct(
        name,
        out,
        run_id,
        overrides,
        seeds,
        Sample.model_validate({"share": share, "by": by}),
        jobs,
        " ".join(["hardtower", *sys.argv[1:]]),
        _tell,
    )


def only_trained_by(overrides: Sequence[str]) -> None:
    """Refuses overrides of anything that decides the data.

    Raises:
      InputError: naming the first one.
    """
    for override in overrides:
        if override.split(".")[0] not in TRAINED_BY:
            raise InputError(
                f"--set {override}: decides the data, which is the run's; wanted a key of "
                f"{', '.join(TRAINED_BY)}"
            )


def _tell(progress: Progress) -> None:
    line = f"{progress.done} of {progress.of} trainings done"
    if progress.what:
        line += f": {progress.what} in {progress.seconds:.0f} s"
    elif progress.stored:
        line += f", {progress.stored} of them before"
    if progress.left:
        line += f"; {_clock(progress.left)} left"
    click.echo(line, err=True)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
