"""`hardtower backfill`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import click

from common.as_of import checked_day
from pipeline.commands.options.kfp import (
    CONNECTION_NAMES,
    RUN_NAMES,
    connection_of,
    connection_options,
    package_of,
    refuse_given,
    run_options,
)
from pipeline.commands.options.shared import config_name_option, out_option, set_option
from pipeline.commands.shared.unattended import RETRY_NAMES, local_runner, retry_options
from schemas.errors import InputError

LOCAL = ("out", *RETRY_NAMES)
KFP = (
    *RUN_NAMES,
    "max_concurrency",
    *CONNECTION_NAMES,
)


@click.command()
@click.option(
    "--from", "first", required=True, metavar="DAY", help="First day, such as 2026-03-01."
)
@click.option("--to", "last", required=True, metavar="DAY", help="Last day, itself included.")
@config_name_option
@set_option
@click.option("--local", is_flag=True, help="Run on this machine.")
@out_option
@retry_options(retries=0)
@run_options
@click.option(
    "--max-concurrency",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    help="Runs at once on Kubeflow.",
)
@connection_options
def backfill(
    first: str,
    last: str,
    config_name: str | None,
    overrides: tuple[str, ...],
    local: bool,
    out: Path,
    retries: int,
    retry_delay: float,
    run_timeout: float | None,
    **kfp: Any,
) -> None:
    """One run as of each day, oldest first, on Kubeflow Pipelines or with --local here.

    A day that a backfill has done already is left alone. Exit code 1 when a day failed.
    """
    days = list(days_between(first, last))
    if not local:
        refuse_given(LOCAL, "is for --local")
        failed = _on_kubeflow(days, config_name, overrides, kfp)
    else:
        refuse_given(KFP, "is not for --local")
        runs = local_runner(out, config_name, overrides, retries, retry_delay, run_timeout)
        results = runs.backfill(days)
        failed = len(days) - sum(result.outcome == "succeeded" for result in results)
    if failed:
        click.echo(f"{failed} of {len(days)} days without a finished run", err=True)
        sys.exit(1)


def days_between(first: str, last: str) -> Iterator[date]:
    """The days from `first` to `last`, both included.

    Raises:
      InputError: not dates, or in the wrong order.
    """
    ends = [checked_day(first, "--from"), checked_day(last, "--to")]
    if ends[0] > ends[1]:
        raise InputError(f"--from {first} --to {last}: wanted a first day that is not the later")
    for i in range((ends[1] - ends[0]).days + 1):
        yield ends[0] + timedelta(days=i)


def _on_kubeflow(
    days: list[date], config_name: str | None, overrides: tuple[str, ...], options: dict[str, Any]
) -> int:
    from pipeline.kfp_server import runs
    from pipeline.kfp_server.backfill import Backfill
    from pipeline.kfp_server.package import AS_OF
    from pipeline.kfp_server.requests import RunRequest

    where = connection_of(options)
    if any(text.startswith(f"{AS_OF}=") for text in options["params"]):
        raise InputError("--param as_of: --from and --to decide it here")
    command = " ".join(["hardtower", *sys.argv[1:]])
    with package_of(options["package_file"], config_name, overrides, command) as package:
        base = package.arguments((*options["params"], f"{AS_OF}={days[0].isoformat()}"))
        server = runs.Server(where)
        name = runs.experiment_name(options["experiment_name"], package)
        experiment_id = server.experiment(name)

        def request(day: str) -> RunRequest:
            return RunRequest(
                package,
                f"{package.name}-backfill-{day}",
                base | {AS_OF: day},
                options["pipeline_root"],
                options["service_account"],
            )

        todo = Backfill(server, experiment_id, request, options["max_concurrency"], click.echo)
        return todo.run([day.isoformat() for day in days], server.runs(name))
