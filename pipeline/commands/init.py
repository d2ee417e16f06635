"""`hardtower init`."""

from __future__ import annotations

import re
from pathlib import Path

import click

from common.pages.text import counted
from schemas.errors import InputError


@click.command()
@click.argument("logs", nargs=-1, required=True, metavar="LOG...", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    show_default=True,
    help="Folder for the two files.",
)
@click.option("--name", default="", help="Of the log; made of the files' when absent.")
@click.option("--timestamp", default="", metavar="COLUMN", help="Time of the click.")
@click.option("--label", default="", metavar="COLUMN", help="Whether the click converted.")
@click.option(
    "--conversion-timestamp", default="", metavar="COLUMN", help="Time of the conversion."
)
@click.option(
    "--setup", multiple=True, metavar="COLUMN", help="A column of the conversion setup. Repeatable."
)
@click.option("--force", is_flag=True, help="Overwrite files that are there.")
def init(
    logs: tuple[Path, ...],
    out: Path,
    name: str,
    timestamp: str,
    label: str,
    conversion_timestamp: str,
    setup: tuple[str, ...],
    force: bool,
) -> None:
    """Look at a log and write a contract and a config of it, to be edited.

    LOG is a CSV, Parquet or TFRecord file, or a folder of such files. Columns may be named; the
    others are guessed, each with its reason.
    """
    from common.files.atomic import write_files
    from labs.first_look.columns import look_at
    from labs.first_look.draft import draft
    from labs.first_look.guess import Asked, guess
    from labs.first_look.sample import find_files, read_sample
    from pipeline.config import load_config
    from pipeline.terminal.quiet import quiet_libraries

    quiet_libraries()
    files = find_files(logs)
    plain = _plain(name or (logs[0].name.split(".")[0] if len(logs) == 1 else files.root.name))
    contract, config = out / f"{plain}.yaml", out / f"{plain}-config.yaml"
    if there := [path for path in (contract, config) if path.exists() and not force]:
        raise InputError(
            f"{' and '.join(map(str, there))}: there already; wanted --force, or another --name or "
            "--out"
        )
    sample = read_sample(files)
    columns = look_at(sample.table, typed=files.form != "csv")
    guessed = guess(columns, Asked(timestamp, label, conversion_timestamp, setup))
    made = draft(plain, files, sample, guessed, contract)
    try:
        write_files(out, {contract.name: made.contract, config.name: made.config})
    except OSError as error:
        raise InputError(f"--out {out}: cannot write: {error.strerror}") from error
    load_config(str(config))
    click.echo(
        f"{counted(sample.rows, 'row')} of {made.first_day} .. {made.last_day} in "
        f"{counted(len(files.paths), f'{files.form} file')}"
    )
    parts = {
        "timestamp": guessed.timestamp.name,
        "label": guessed.label_column.name,
        "conversion_timestamp": guessed.conversion.name if guessed.conversion else "none",
        "setup": ", ".join(guessed.setup),
        **guessed.roles,
    }
    for part, column in parts.items():
        click.echo(f"  {part:<22}{column}")
    click.echo(f"  {'attribution window':<22}{counted(guessed.window_days, 'day')}")
    click.echo(
        f"  {'features':<22}{len(guessed.categorical)} categorical, {len(guessed.numeric)} "
        "numeric, historical_cvr"
    )
    click.echo(f"  {'leaks':<22}{', '.join(guessed.leaks) or 'none guessed'}")
    click.echo("Could not tell:" if made.unsure else "Nothing was left open.")
    for question in made.unsure:
        click.echo(f"  - {question}")
    click.echo(f"contract  {contract}\nconfig    {config}")
    click.echo(f"Read both, then: hardtower check --config {config}")


def _plain(text: str) -> str:
    """A name of letters, digits and `_` that begins with a letter."""
    plain = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    return plain if plain[:1].isalpha() else f"log_{plain}".rstrip("_")
