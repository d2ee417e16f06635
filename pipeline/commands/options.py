"""Options that several commands take."""

from __future__ import annotations

from pathlib import Path

import click

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
serving_option = click.option(
    "--serving",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Serving folder, which the Pusher writes versions to.",
)
config_name_option = click.option(
    "--config",
    "config_name",
    metavar="FILE",
    help="Pipeline config: a YAML file, or the name of one that ships with hardtower.",
)
