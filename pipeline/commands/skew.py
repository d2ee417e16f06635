"""`hardtower skew`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option(
    "--decisions",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    required=True,
    help="Decision log of `hardtower serve`.",
)
@click.option(
    "--assignments",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    required=True,
    help="Folder of a TaskAssignments artifact.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def skew(decisions: Path, assignments: Path, as_json: bool) -> None:
    """Compare the tasks that a service decided with the offline assignment."""
    from rich.table import Table

    from pipeline.terminal.tables import terminal
    from service.routing.skew import compare

    report = compare(decisions, assignments)
    if as_json:
        click.echo(report.model_dump_json(indent=2))
        return
    click.echo(
        f"{report.decisions:,} decisions, {report.mismatches:,} mismatches ({report.share:.3%}); "
        f"{report.beyond:,} after the assignment's last day; {report.bad_lines:,} lines unreadable"
    )
    if report.by_kind:
        table = Table("online", "reason", "offline", "reason", "cause", "decisions", "share")
        for kind in report.by_kind:
            table.add_row(
                kind.online_task,
                kind.online_reason,
                kind.offline_task,
                kind.offline_reason,
                kind.cause,
                f"{kind.decisions:,}",
                f"{kind.share:.3%}",
            )
        terminal().print(table)
