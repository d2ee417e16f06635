"""`hardtower simulate`."""

from __future__ import annotations

from pathlib import Path

import click

from common.pages.text import counted


@click.command()
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

    from labs.simulator.settings import parse_settings
    from labs.simulator.simulate import simulate as simulate_log
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
        f"{counted(summary.clicks, 'click')}, {counted(summary.conversions, 'conversion')}, "
        f"{counted(summary.setups, 'setup')}, {counted(summary.days, 'day')} in {summary.path}"
    )
