"""`hardtower run`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pipeline.commands.options import config_option, out_option, set_option

NOT_BLESSED = 3
"""Exit code of a run whose model was to be blessed and was not."""


@click.command()
@config_option
@set_option
@click.option(
    "--as-of",
    metavar="DATE",
    help="First day (UTC) whose events the run must not see; overrides the config's as_of.",
)
@out_option
@click.option(
    "--require-blessing", is_flag=True, help="Exit with code 3 when the model is not blessed."
)
def run(
    config_name: str,
    overrides: tuple[str, ...],
    as_of: str | None,
    out: Path,
    require_blessing: bool,
) -> None:
    """Run the whole pipeline on this machine."""
    from pipeline.config import load_config
    from pipeline.local_run import check_input, run_pipeline

    if as_of is not None:
        overrides = (*overrides, f"as_of={as_of!r}")
    config = load_config(config_name, overrides)
    check_input(config)
    blessed = run_pipeline(config, out, command=" ".join(["hardtower", *sys.argv[1:]]))
    if require_blessing and not blessed:
        sys.exit(NOT_BLESSED)
