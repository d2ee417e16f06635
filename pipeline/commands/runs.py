"""`hardtower runs`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from pipeline.commands.options.kfp import connection_of, connection_options
from pipeline.commands.options.shared import out_option

SHOWN = ("run_id", "state", "as_of", "verdict", "version", "started", "stage", "reason")
LONGEST_REASON = 60


@click.command()
@out_option
@click.option("-e", "--experiment-name", help="Only runs of this experiment of Kubeflow.")
@click.option("-m", "--max-size", type=click.IntRange(1, 10_000), default=100, show_default=True)
@click.option(
    "--output",
    "form",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="json has every field in full.",
)
@connection_options
def runs(
    out: Path, experiment_name: str | None, max_size: int, form: str, **connection: Any
) -> None:
    """List runs, newest first: those of --out, or of Kubeflow when --endpoint is known.

    With both, Kubeflow's runs with the verdicts that their last steps wrote under --out.
    """
    where = connection_of(connection)
    source = click.get_current_context().get_parameter_source("out")
    here = source is ParameterSource.COMMANDLINE or not where.endpoint
    lines = _local(out) if here else {}
    if where.endpoint:
        from pipeline.kfp_server.runs import Server

        views = Server(where).runs(experiment_name, max_size)
        shown = [_on_kubeflow(view, lines.get(view.run_id, {})) for view in views]
    else:
        shown = list(lines.values())[:max_size]
    click.echo(json.dumps(shown, indent=1) if form == "json" else _table(shown))


def _local(out: Path) -> dict[str, dict[str, Any]]:
    from pipeline.runs.history import local_runs

    return {line.run_id: line.as_dict() for line in local_runs(out)}


def _on_kubeflow(view: Any, local: dict[str, Any]) -> dict[str, Any]:
    return {
        "run_id": view.run_id,
        "name": view.name,
        "state": view.state.lower(),
        "as_of": view.as_of or local.get("as_of", ""),
        "verdict": local.get("verdict", ""),
        "version": local.get("version", ""),
        "started": _time(view.created),
        "finished": _time(view.finished),
        "stage": "",
        "reason": view.error or local.get("reason", ""),
    }


def _time(moment: datetime | None) -> str:
    return "" if moment is None else moment.isoformat(timespec="seconds")


def _table(rows: Sequence[dict[str, Any]]) -> str:
    """Columns of text; reasons cut short."""
    cells = [SHOWN] + [tuple(_cell(name, row[name]) for name in SHOWN) for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(SHOWN))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in cells]
    return "\n".join(line.rstrip() for line in lines)


def _cell(name: str, value: str) -> str:
    if name != "reason" or len(value) <= LONGEST_REASON:
        return value
    return f"{value[: LONGEST_REASON - 1]}…"
