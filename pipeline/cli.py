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


@main.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder to make; it must not hold anything yet.",
)
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="Simulator settings in YAML; the defaults otherwise.",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Overrides one setting, such as clicks=5000000. Repeatable.",
)
def simulate(out: Path, config_file: Path | None, overrides: tuple[str, ...]) -> None:
    """Simulate a click log, its true probabilities beside it."""
    from rich.progress import Progress

    from components.simulator.settings import parse_settings
    from components.simulator.simulate import simulate as simulate_log
    from pipeline.overrides import read_yaml, with_overrides

    source = str(config_file) if config_file else "simulator settings"
    raw = with_overrides(read_yaml(config_file) if config_file else {}, overrides)
    settings = parse_settings(raw, source)
    with Progress() as progress:
        bar = progress.add_task("clicks", total=settings.clicks)
        summary = simulate_log(
            settings, out, lambda done, total: progress.update(bar, completed=done, total=total)
        )
    click.echo(
        f"{summary.clicks:,} clicks, {summary.conversions:,} conversions, {summary.setups:,} "
        f"setups, {summary.days} days in {summary.path}"
    )


@main.command()
@click.argument("run_id", required=False)
@out_option
@click.option("--open", "open_page", is_flag=True, help="Open the page in the browser.")
def report(run_id: str | None, out: Path, open_page: bool) -> None:
    """Show the summary of a run, the newest when none is named, and where its report is."""
    from pipeline.console import Console
    from pipeline.runs import find_run

    folder = find_run(out, run_id)
    Console(folder / "run.log").summary(out, folder)
    if open_page:
        click.launch(str(folder / "report.html"))


if __name__ == "__main__":
    main()
