"""`hardtower report`."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.commands.options.shared import out_option


@click.command()
@click.argument("run_id", required=False)
@out_option
@click.option("--open", "open_page", is_flag=True, help="Open the page in the browser.")
def report(run_id: str | None, out: Path, open_page: bool) -> None:
    """Show the summary of a run, the newest when none is named, and where its report is."""
    from common.runs.files import RunFile
    from pipeline.runs.history import find_run
    from pipeline.terminal.console import Console

    folder = find_run(out, run_id)
    Console(folder / "run.log").summary(out, folder)
    if open_page:
        click.launch(str(folder / RunFile.REPORT))
