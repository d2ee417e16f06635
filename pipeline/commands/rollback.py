"""`hardtower rollback`."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.commands.options.shared import serving_option


@click.command()
@serving_option
def rollback(serving: Path) -> None:
    """Take the newest serving version away, so that the one before it serves again."""
    from common.versions.folder import ServingFolder

    done = ServingFolder(serving).rollback()
    click.echo(f"version {done.removed} removed; version {done.serving} serves")
