"""What `schedule --local` and `backfill --local` share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pipeline.scheduling.local import LocalRuns


def local_runs(
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
