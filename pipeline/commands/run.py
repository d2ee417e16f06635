"""`hardtower run`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pipeline.commands.options.shared import (
    as_of_option,
    at_day,
    config_option,
    out_option,
    set_option,
)

NOT_BLESSED = 3
"""Exit code of a run whose model was to be blessed and was not."""


@click.command()
@config_option
@set_option
@as_of_option
@out_option
@click.option("--run-id", default="", metavar="NAME", help="Name of the run; made up when absent.")
@click.option(
    "--queue",
    is_flag=True,
    help="Wait for a run that is going on in --out, instead of refusing to start.",
)
@click.option(
    "--require-blessing", is_flag=True, help="Exit with code 3 when the model is not blessed."
)
def run(
    config_name: str,
    overrides: tuple[str, ...],
    as_of: str | None,
    out: Path,
    run_id: str,
    queue: bool,
    require_blessing: bool,
) -> None:
    """Run the whole pipeline on this machine."""
    from pipeline.config import load_config
    from pipeline.runs.local_run import run_pipeline

    config = load_config(config_name, at_day(overrides, as_of))
    command = " ".join(["hardtower", *sys.argv[1:]])
    blessed = run_pipeline(config, out, command, run_id, queue)
    if require_blessing and not blessed:
        sys.exit(NOT_BLESSED)
