"""The `hardtower` command.

TFX and TensorFlow are imported inside commands, after their arguments have been checked.
"""

from __future__ import annotations

import sys
from errno import EPIPE
from importlib import import_module
from importlib.util import find_spec

import click

from pipeline.terminal.quiet import silence_unraisable
from schemas.errors import InputError, RunError

FAILED = 1
BAD_INPUT = 2
"""Exit code of bad input, click's own for bad arguments."""

COMMANDS = (
    "ab-report",
    "alpha",
    "backfill",
    "check",
    "cold-start",
    "compile",
    "experiment",
    "init",
    "marketplace",
    "report",
    "rollback",
    "route",
    "run",
    "runs",
    "schedule",
    "serve",
    "simulate",
    "skew",
    "stability",
    "submit",
    "tune",
)
"""Commands in the order of the help; each is the function of that name in the module of
`pipeline.commands` of that name, `-` in place of `_`."""


class CommandGroup(click.Group):
    """Loads a command when it is asked for; prints what ended it as one line.

    Exit code 2 is bad input; 1 is a failed run, or what the machine would not do: a full disk, a
    folder that must not be written, a command of the extra `pipeline` where that is not installed.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        command: click.Command = getattr(import_module(f"pipeline.commands.{name}"), name)
        return command

    def invoke(self, ctx: click.Context) -> object:
        silence_unraisable()
        try:
            return super().invoke(ctx)
        except InputError as error:
            click.echo(f"Error: {error}", err=True)
            sys.exit(BAD_INPUT)
        except RunError as error:
            click.echo(f"Error: {error}", err=True)
            sys.exit(FAILED)
        except ModuleNotFoundError as error:
            if find_spec("tfx"):
                raise
            click.echo(f"Error: {error}; wanted hardtower with its extra `pipeline`", err=True)
            sys.exit(FAILED)
        except OSError as error:
            # A pipe that nobody reads any more is click's to answer.
            if error.errno in (None, EPIPE):
                raise
            places = " -> ".join(str(p) for p in (error.filename, error.filename2) if p)
            click.echo(f"Error: {places}{': ' if places else ''}{error.strerror}", err=True)
            sys.exit(FAILED)


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hardtower")
def main() -> None:
    """Multi-task learning for rare ad conversions: click log in, hard-tower serving graph out."""


if __name__ == "__main__":
    main()
