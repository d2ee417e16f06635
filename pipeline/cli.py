"""The `hardtower` command.

TFX and TensorFlow are imported inside commands, after their arguments have been checked.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from schemas.errors import InputError

BAD_INPUT = 2
NOT_BLESSED = 3


class _Group(click.Group):
    """Prints bad input as one line and exits with code 2."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except InputError as error:
            click.echo(f"Error: {error}", err=True)
            sys.exit(BAD_INPUT)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hardtower")
def main() -> None:
    """Multi-task learning for rare ad conversions: click log in, hard-tower serving graph out."""


config_option = click.option(
    "--config",
    "config_name",
    required=True,
    metavar="FILE",
    help="Pipeline config: a YAML file, or the name of one that ships with hardtower.",
)
set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Overrides one key of the config, such as labelling.alpha=0.005. Repeatable.",
)
out_option = click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("out"),
    show_default=True,
    help="Folder for runs, serving versions, artifacts and metadata.",
)


@main.command()
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


if __name__ == "__main__":
    main()
