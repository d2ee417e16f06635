"""The console that commands print tables on."""

from __future__ import annotations

from rich.console import Console

WIDTH_OF_FILES = 120
"""Columns of the output where it is not a terminal."""


def terminal(width_of_files: int = WIDTH_OF_FILES, soft_wrap: bool = False) -> Console:
    """Standard output as a console, of a fixed width where it is not a terminal."""
    console = Console(highlight=False, soft_wrap=soft_wrap)
    if not console.is_terminal:
        console.width = width_of_files
    return console
