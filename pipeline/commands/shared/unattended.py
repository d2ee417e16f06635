"""Runs that nobody watches: what `schedule --local` and `backfill --local` share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.commands.options.shared import LONGEST, Command, Number, with_options

if TYPE_CHECKING:
    from pipeline.scheduling.local import LocalRuns


RETRY_NAMES = ("retries", "retry_delay", "run_timeout")


def retry_options(retries: int) -> Callable[[Command], Command]:
    """Adds what becomes of a run that fails or takes long; `retries` is the default."""
    return with_options(
        click.option(
            "--retries",
            type=click.IntRange(0, 1000),
            default=retries,
            show_default=True,
            help="Further tries of a run that failed.",
        ),
        click.option(
            "--retry-delay",
            type=Number(0, LONGEST),
            default=60.0,
            show_default=True,
            help="Seconds between a failed run and the next try.",
        ),
        click.option(
            "--run-timeout",
            type=Number(1, LONGEST),
            help="Seconds after which a run is ended.",
        ),
    )


def local_runner(
    out: Path,
    config_name: str | None,
    overrides: tuple[str, ...],
    retries: int,
    retry_delay: float,
    run_timeout: float | None,
) -> LocalRuns:
    """Runs of a config on this machine, each a `hardtower run` of its own.

    Raises:
      InputError: the config is missing or wrong.
      click.UsageError: none is named.
    """
    if config_name is None:
        raise click.UsageError("--local wants --config")
    from pipeline.config import load_config
    from pipeline.scheduling.attempts import Policy
    from pipeline.scheduling.local import LocalRuns

    options = [part for override in overrides for part in ("--set", override)]
    return LocalRuns(
        out=out.absolute(),
        config=load_config(config_name, overrides).name,
        arguments=["--config", config_name, *options],
        policy=Policy(retries, retry_delay),
        timeout=run_timeout,
    )
