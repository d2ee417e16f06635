"""Options that several commands take."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Command = Callable[..., Any]

LONGEST = 366 * 86_400
"""Seconds; what no wait or limit in a command exceeds."""


class Number(click.FloatRange):
    """A number with both bounds; NaN, which click lets through, lies outside."""

    def __init__(self, low: float, high: float, low_open: bool = False) -> None:
        super().__init__(low, high, min_open=low_open)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number: float = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number", param, ctx)
        return number


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
as_of_option = click.option(
    "--as-of",
    metavar="DATE",
    help="First day (UTC) whose events must not be seen; overrides the config's as_of.",
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


def at_day(overrides: tuple[str, ...], as_of: str | None) -> tuple[str, ...]:
    """The overrides, and that of --as-of where it was given."""
    return overrides if as_of is None else (*overrides, f"as_of={as_of!r}")


def with_options(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Adds options to a command, in this order."""

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add
