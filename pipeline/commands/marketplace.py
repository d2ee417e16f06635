"""`hardtower marketplace`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


@click.command()
@click.option(
    "--log",
    "log_dir",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    metavar="DIR",
    help="Folder of a log that `hardtower simulate` wrote.",
)
@click.option(
    "--variant-a",
    required=True,
    metavar="SCORER",
    help="What the control bids by: the folder of a pushed version, or oracle, mean, noisy:<sd>.",
)
@click.option("--variant-b", required=True, metavar="SCORER", help="The same for the variant.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder for outcome.parquet and marketplace.json.",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Sets one key of the market, such as requests=1000000. Repeatable.",
)
def marketplace(
    log_dir: Path, variant_a: str, variant_b: str, out: Path, overrides: tuple[str, ...]
) -> None:
    """Simulate a budget-split A/B test of two models in ad auctions.

    The true conversion probability of every candidate ad is known, so that one sees what better
    predictions do to CPA. Read the outcome with `hardtower ab-report`.
    """
    from rich.progress import Progress

    from labs.marketplace.run import OUTCOME
    from labs.marketplace.run import marketplace as run_marketplace
    from labs.marketplace.settings import parse_market_settings
    from pipeline.overrides import with_overrides
    from pipeline.terminal.tables import terminal

    settings = parse_market_settings(with_overrides({}, overrides))
    console = terminal()
    with Progress(console=console) as progress:
        bar = progress.add_task("requests", total=settings.requests)
        summary = run_marketplace(
            log_dir,
            (variant_a, variant_b),
            out,
            settings,
            lambda done, total: progress.update(bar, completed=done, total=total),
        )
    _print(console, summary)
    click.echo(f"next: hardtower ab-report {out / OUTCOME}")


def _print(console: Any, summary: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table(caption="RIG and calibration: of all candidate ads, against the truth")
    for name in ("", "scorer"):
        table.add_column(name)
    for name in ("RIG", "calibration", "impressions", "conversions", "spend", "of budget", "CPA"):
        table.add_column(name, justify="right")
    for name, figures in summary["variants"].items():
        quality, totals = figures["candidates"], figures["totals"]
        table.add_row(
            name,
            figures["scorer"],
            "-" if quality["rig"] is None else f"{quality['rig']:.4f}",
            "-" if quality["calibration"] is None else f"{quality['calibration']:.3f}",
            f"{totals['impressions']:,.0f}",
            f"{totals['conversions']:,.1f}",
            f"{totals['spend']:,.0f}",
            f"{totals['spend'] / totals['budget']:.1%}",
            "-" if figures["cpa"] is None else f"{figures['cpa']:,.2f}",
        )
    console.print(table)
