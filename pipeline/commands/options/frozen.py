"""Options of the commands that train on a finished run's data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.commands.options.shared import Number, out_option
from schemas.errors import InputError

if TYPE_CHECKING:
    from labs.experiment.studies.cuts import Subsample
    from pipeline.studies.frozen_run import FrozenRun

TRAINED_BY = ("model", "loss", "training")

Command = Callable[..., None]


@dataclass(frozen=True)
class FrozenOptions:
    """Which finished run a study rests on, what of it is used, and what is trained otherwise."""

    out: Path
    run_id: str | None
    overrides: tuple[str, ...]
    share: float
    by: str

    def open(self) -> FrozenRun:
        """The run, frozen.

        Raises:
          InputError: it is not there, or an override is wrong or decides the data.
        """
        for override in self.overrides:
            if override.split(".")[0] not in TRAINED_BY:
                raise InputError(
                    f"--set {override}: decides the data, which is the run's; wanted a key of "
                    f"{', '.join(TRAINED_BY)}"
                )
        from pipeline.studies.frozen_run import open_run

        return open_run(self.out, self.run_id, self.overrides)

    @property
    def sample(self) -> Subsample:
        """The rows to use."""
        from labs.experiment.studies.cuts import Subsample

        return Subsample.model_validate({"share": self.share, "by": self.by})


def frozen_options(command: Command) -> Command:
    """Gives a command these options, as a `FrozenOptions` before its own."""

    @out_option
    @click.option("--run-id", metavar="RUN_ID", help="A finished run under OUT; the newest one.")
    @click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="KEY=VALUE",
        help="Overrides one of the run's model, loss or training settings for all trainings, such "
        "as model.dropout=0.2. Repeatable.",
    )
    @click.option(
        "--sample",
        "share",
        type=Number(0, 1, low_open=True),
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
    @wraps(command)
    def call(
        out: Path,
        run_id: str | None,
        overrides: tuple[str, ...],
        share: float,
        by: str,
        **given: Any,
    ) -> None:
        command(FrozenOptions(out, run_id, overrides, share, by), **given)

    return call


def hms(seconds: float) -> str:
    """A duration as h:mm:ss.

    >>> hms(3725.4)
    '1:02:05'
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
