"""`hardtower route`."""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path
from typing import TextIO

import click

from common.pages.text import counted
from pipeline.commands.options.shared import serving_option
from schemas.errors import InputError


@click.command()
@serving_option
@click.option("--setup", "setups", multiple=True, metavar="ID", help="A setup id. Repeatable.")
@click.option(
    "--file",
    "file",
    type=click.File(encoding="utf-8-sig"),
    help="Text file with a setup id a line; - for standard input.",
)
@click.option(
    "--category",
    help="Conversion category of setups that are not known, where their ids do not hold it.",
)
@click.option("--advertiser-type", help="As --category.")
@click.option(
    "--version", type=click.IntRange(0, 2**63 - 1), help="Version to ask; the newest otherwise."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON line for each setup.")
def route(
    serving: Path,
    setups: tuple[str, ...],
    file: TextIO | None,
    category: str | None,
    advertiser_type: str | None,
    version: int | None,
    as_json: bool,
) -> None:
    """Say where candidates of conversion setups go: task, reason and model."""
    import json
    import math

    from rich.table import Column, Table

    from common.routing.rules import CandidateError
    from common.routing.table import RoutingTable
    from common.versions.digest import check_sums
    from common.versions.folder import ServingFolder
    from pipeline.terminal.tables import terminal
    from service.models.bundle import read_manifest
    from service.routing.router import Router

    asked_for = [("--setup", setup) for setup in setups]
    try:
        asked_for += [
            (f"--file: line {number}", line.rstrip("\r\n"))
            for number, line in enumerate(file or (), 1)
            if line.strip()
        ]
    except UnicodeDecodeError as error:
        raise InputError(f"--file: {error}; wanted a setup id a line, in UTF-8") from None
    ids = [setup for _, setup in asked_for]
    if not ids:
        raise InputError("no setup; wanted --setup or --file")
    folder = ServingFolder(serving)
    versions = folder.versions()
    asked = max(versions, default=None) if version is None else version
    if asked not in versions:
        raise InputError(f"{serving}: no version {asked or ''}; there: {versions or 'none'}")
    if read_manifest(folder.path(asked)).summed:
        check_sums(folder.path(asked))
    table = RoutingTable.load(folder.path(asked))
    _refuse_unknown("--category", category, table.unknown.categories)
    _refuse_unknown("--advertiser-type", advertiser_type, table.unknown.advertiser_types)
    try:
        routed = Router(table).route(ids, [category] * len(ids), [advertiser_type] * len(ids))
    except CandidateError as error:
        raise InputError(f"{asked_for[error.candidate][0]}: {error}") from None
    columns = (ids, routed.task, routed.reason, routed.model, routed.cvr.tolist())
    rows = [(s, str(t), str(r), str(m), c) for s, t, r, m, c in zip(*columns, strict=True)]
    if as_json:
        for setup, task, reason, model, cvr in rows:
            answer = {"setup_id": setup, "task": task, "reason": reason, "model": model}
            known = {"historical_cvr": None if math.isnan(cvr) else cvr, "version": asked}
            click.echo(json.dumps(answer | known, ensure_ascii=False))
        return
    page = Table(Column("setup", overflow="fold"), "task", "reason", "model", "historical CVR")
    for setup, task, reason, model, cvr in rows:
        page.add_row(setup, task, reason, model, "" if math.isnan(cvr) else f"{cvr:.4%}")
    terminal().print(page)
    click.echo(f"version {asked}, assignment {table.assignment_id}, {counted(len(table), 'setup')}")


def _refuse_unknown(option: str, value: str | None, known: Set[str]) -> None:
    """Refuses a value that no rule of the table is for, where rules are for values at all."""
    if value is not None and known and value not in known:
        raise InputError(f"{option}: {value!r}; wanted one of {', '.join(sorted(known))}")
