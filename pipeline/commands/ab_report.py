"""`hardtower ab-report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from labs.ab_report.report import AbReport


@click.command("ab-report")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for ab_report.html and ab_report.json; neither is written otherwise.",
)
@click.option("--control", metavar="NAME", help="The control's name in the file.")
@click.option(
    "--zeros",
    type=click.Choice(["drop", "add_half"]),
    help="What happens to setups without conversions in a variant.  [default: drop]",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Sets one key of the report's settings, such as resamples=10000. Repeatable.",
)
def ab_report(
    file: Path, out: Path | None, control: str | None, zeros: str | None, overrides: tuple[str, ...]
) -> None:
    """Read a budget-split A/B test: CPA and conversion ratios, as in the paper's Table 4.

    FILE is CSV or Parquet, a row per setup and variant (and day): columns setup, variant, spend,
    conversions, and where known advertiser, day, clicks, impressions, requests, budget.
    """
    from datetime import UTC, datetime

    from labs.ab_report.settings import AbReportSettings
    from pipeline.overrides import with_overrides
    from schemas.checked import checked

    given = {"control": control, "zeros": zeros}
    raw = with_overrides({k: v for k, v in given.items() if v is not None}, overrides)
    settings = checked(AbReportSettings, raw, "ab-report")

    from labs.ab_report.report import ab_report as read_test

    report = read_test(file, settings)
    _print(report)
    if out is not None:
        from labs.ab_report.page import PAGE, write_ab_report

        write_ab_report(report, out, datetime.now(UTC))
        click.echo(f"report  {out / PAGE}")


def _print(report: AbReport) -> None:
    from rich.table import Table

    from labs.ab_report.text import change, interval, zero_policy
    from pipeline.terminal.tables import terminal

    console = terminal(soft_wrap=True)
    table = Table(title=f"{report.variant} against {report.control}", title_justify="left")
    table.add_column("metric type")
    for name in ("CPA ratio", "interval", "conversion ratio", "interval"):
        table.add_column(name, justify="right")
    for name in (f"{report.settings.unit}s", "advertisers", "spend"):
        table.add_column(name, justify="right", style="dim")
    for row in report.rows:
        table.add_row(
            row.name,
            change(row.cpa.ratio),
            interval(row.cpa),
            change(row.conversion.ratio),
            interval(row.conversion),
            f"{row.units:,}",
            f"{row.advertisers:,}",
            f"{row.spend_share:.0%}",
        )
    console.print(table)
    styles = {"passed": "green", "failed": "bold red", "not judged": "dim"}
    for check in report.checks:
        line = f"{check.outcome:>10}  {check.name}: {check.detail}"
        console.print(line, style=styles[check.outcome], markup=False)
    console.print(zero_policy(report.settings), markup=False, style="dim")
    for part in report.left_out:
        console.print(
            f"  left out: {part.units:,} {report.settings.unit}s, {part.spend_share:.2%} of spend, "
            f"{part.reason}",
            markup=False,
            style="dim",
        )
